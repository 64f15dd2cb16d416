"""A search: a sweep whose members are chosen one after the other, by what became of those before.

There is no database. The study's folder holds which trials there are, the run folders what became of them. So a kill
loses nothing, and several commands may share a search.
"""

import hashlib
import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml
from filelock import SoftFileLease
from hydra.core.override_parser.types import Override

from labkit.config import check_choice, check_least, typed
from labkit.launching.command import launches_only
from labkit.launching.entry_point import CONFIG, CheckedTask
from labkit.launching.member import Member, Refused
from labkit.launching.sampler import SAMPLERS, Sampler
from labkit.launching.space import Space
from labkit.runs.files import PLANS, SEARCH, atomic_file, read_json, write_json
from labkit.runs.folder import LEASE_S
from labkit.runs.interruption import Interruption
from labkit.runs.notebook import note_runs
from labkit.runs.spent import spent
from labkit.runs.study import Run, Study, read_study
from labkit.text import counted

ENDED = ("finished", "pruned", "diverged")  # trials that are over, whatever starts again
FRESH_SEEDS = 5
WRITTEN = "# Written by a search, which writes it again; a copy under another name is yours."


@dataclass
class SearchSettings:
    """hydra.sweeper.search, explained in config/hydra/sweeper/members.yaml."""

    trials: int | None
    hours: float | None
    sampler: str
    seed: int
    pruning: bool
    when: dict[str, Any]

    def __post_init__(self) -> None:
        check_choice("sampler", self.sampler, SAMPLERS)
        check_least("trials", self.trials, 1)
        check_least("seed", self.seed, 0)
        if self.hours is not None and self.hours <= 0:
            raise ValueError(f"hours: must be a number above 0, not {self.hours}")


def search_settings(node: Mapping[str, Any]) -> SearchSettings | None:
    """None where there is no budget, and so no search. ValueError in a sentence."""
    try:
        settings = typed(SearchSettings, node)
    except ValueError as error:
        raise ValueError(f"hydra.sweeper.search.{error}") from error
    return settings if settings.trials or settings.hours else None


class Search:
    """The trials of one space, whichever command asked for them."""

    def __init__(
        self, settings: SearchSettings, words: Sequence[Override], make: Callable[[str, list[str]], Member | Refused]
    ) -> None:
        """`words`: the overrides; `make`: the member of a name and of its overrides. ValueError in a sentence."""
        self.settings = settings
        self._make = make
        self._space = Space(words, settings.when)
        self._sampler = Sampler(settings.sampler, settings.seed, self._space)
        fixed = [o for o in words if not o.is_sweep_override()]
        self.fixed = [f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in fixed]
        if any(word.lstrip("+").startswith("restart=") for word in self.fixed):
            raise ValueError("restart: a search goes on from its trials; choose another study to begin a new one")
        self._members: dict[str, Member] = {}  # that this command has to do with, by the names of their folders
        self._refused: list[Refused] = []
        example = self._made(self._space.first())
        if isinstance(example, Refused):
            raise ValueError(f"{example.name}: {example.reason}")
        self.example = example
        self.study = self.example.folder.path.parent
        self._path = self.study / PLANS / SEARCH.replace("*", self._identity())
        self._lease = SoftFileLease(self._path.with_suffix(".lock"), lease_duration=LEASE_S)

    def begin(self) -> list[Member]:
        """The trials that did not end, or else a new one."""
        runs = self.runs()
        left: list[Member] = []
        for trial in self.read()["members"]:
            made = self._made(trial["values"]) if runs[trial["name"]].status not in ENDED else None
            if isinstance(made, Member):
                made.job = trial["job"]
                left.append(self._members.setdefault(trial["name"], made))
        return left or self.more(1)

    def more(self, n: int) -> list[Member]:
        """Up to `n` new trials, which belong to this command; fewer where the budget or the space is used up."""
        new: list[Member] = []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lease:
            plan = self.read()
            while len(new) < n and (member := self._ask(plan)):
                new.append(member)
        return new

    def keep(self) -> None:
        """Notes the jobs of this command's trials, and what kept one from running."""
        with self._lease:
            plan = self.read()
            for trial in plan["members"]:
                if member := self._members.get(trial["name"]):
                    trial["job"] = member.job
                    trial["error"] = member.reason if member.status in ("failed", "refused") else None
            write_json(self._path, plan)

    def lost(self) -> list[Member | Refused]:
        """Of this command's trials."""
        lost = [member for member in self._members.values() if member.status not in (*ENDED, "waiting")]
        return [*lost, *self._refused]

    def read(self) -> dict[str, Any]:
        """The file of the search: what is asked for now, and the trials."""
        command = shlex.join(["python", *sys.argv])
        plan = read_json(self._path) or {"format": 1, "command": command, "members": []}
        return plan | {"search": plan.get("search", {}) | asdict(self.settings)}

    def runs(self, plan: Mapping[str, Any] | None = None) -> dict[str, Run]:
        """What became of each trial, by its name; `plan`: what `read` gives."""
        names = [trial["name"] for trial in (plan or self.read())["members"]]
        found = {run.name: run for run in read_study(self.study).runs} if names else {}
        return {name: found.get(name) or Run(name, self.study, "missing") for name in names}

    def note(self, **values: Any) -> dict[str, Any]:
        """Puts them into the file, for the report."""
        with self._lease:
            plan = self.read()
            plan["search"] |= values
            write_json(self._path, plan)
        return plan

    def importance(self) -> dict[str, float]:
        return self._sampler.importance(self.read()["members"], self.runs())

    def experiment(self, name: str, about: str, values: Mapping[str, Any]) -> str:
        """The text of an experiment that runs these values on fresh seeds."""
        words = [word.lstrip("+").partition("=") for word in self.fixed if not launches_only(word)]
        fixed = {key: value for key, _, value in words if key not in ("sweeper", "study", "seed", "experiment")}
        parents = [value for key, _, value in words if key == "experiment"]
        first = self.example.settings.seed + 1
        seeds = ",".join(map(str, range(first, first + FRESH_SEEDS)))
        unused = dict.fromkeys(self._space.overrides)  # what the file of the search sweeps over
        params = {**fixed, **unused, **values, "seed": seeds}
        sweeper = {"search": {"trials": None, "hours": None}, "params": params}
        content = {"study": name, "hydra": {"mode": "MULTIRUN", "sweeper": sweeper}}
        text = yaml.safe_dump({"defaults": [*parents, "_self_"], **content}, sort_keys=False, allow_unicode=True)
        command = f"python runs/train.py +experiment={name} [+launcher=joblib]"
        return f"# @package _global_\n# {command}\n# {about}\n{WRITTEN}\n{text}"

    def _ask(self, plan: dict[str, Any]) -> Member | None:
        """A trial that is not there yet, written down before it runs; None if the budget or the space is used up."""
        budget = self.settings
        if budget.trials and len(plan["members"]) >= budget.trials:
            return None  # without a look at the runs: a launcher with room asks all the time
        runs = self.runs(plan)
        if budget.hours and sum(row.hours for row in spent(Study("", list(runs.values()), []))) >= budget.hours:
            return None
        names = {trial["name"] for trial in plan["members"]}
        for values, attrs in self._sampler.suggestions(list(plan["members"]), runs):
            made = self._made(values)
            name = made.folder.path.name if made.folder else made.name
            if name in names:
                continue
            names.add(name)
            about = {"overrides": made.overrides, "job": None, "values": values, "attrs": attrs}
            plan["members"].append({"name": name, "error": made.reason, **about})
            write_json(self._path, plan)
            if isinstance(made, Member):
                return self._members.setdefault(name, made)
            self._refused.append(made)
        return None

    def _made(self, values: Mapping[str, Any]) -> Member | Refused:
        words = [f"{key}={value}" for key, value in values.items()]
        return self._make(" ".join(words), [*self.fixed, *words])

    def _identity(self) -> str:
        """Of all that the trials have in common: a larger budget goes on with the same search."""
        fixed = sorted(word for word in self.fixed if not launches_only(word))
        space = sorted(str(override.input_line) for override in self._space.overrides.values())
        text = json.dumps([fixed, space, self.settings.when, self.settings.seed])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_search(search: Search, launcher: Any, task: CheckedTask[Any], interruption: Interruption) -> None:
    """Trials until the budget is spent, as many at a time as the launcher has room for; then what came out.

    ValueError, after all others, if a trial failed.
    """
    if launcher.dry_run or not launcher.waits:
        raise ValueError(
            "hydra.launcher.wait: a search chooses a trial when others have ended; use wait=true without dry_run"
        )
    launcher.check([search.example])
    first = search.begin()
    launcher.check(first)
    try:
        launcher.launch(first, task, interruption, keep=search.keep, more=search.more)
    finally:
        search.keep()
    if interruption.received:
        print("interrupted: the same command goes on with the search", flush=True)
    interruption.check()
    _conclude(search)


def _conclude(search: Search) -> None:
    runs = search.runs()
    counts = Counter(run.status for run in runs.values())
    print(f"{counted(len(runs), 'trial')}: {', '.join(f'{n} {status}' for status, n in counts.items())}")
    note_runs(search.study.name, search.fixed, [(run.status, run.record) for run in runs.values()])
    finished = [run for run in runs.values() if run.status == "finished"]
    if finished:
        _say_the_best(search, finished)
    if lost := search.lost():
        reasons = [f"  {member.status}: {member.name}: {member.reason}" for member in lost]
        raise ValueError("\n".join([f"{len(lost)} of {len(runs)} trials did not finish:", *reasons]))


def _say_the_best(search: Search, finished: list[Run]) -> None:
    """And writes the experiment that runs it on fresh seeds."""
    metric, direction = (finished[0].record["monitor"][key] for key in ("metric", "direction"))
    best = (max if direction == "max" else min)(finished, key=lambda run: run.record["best"]["metrics"][metric])
    plan = search.note(importance=search.importance(), best=best.name)
    (values,) = (trial["values"] for trial in plan["members"] if trial["name"] == best.name)
    name = f"best_of_{search.study.name}"
    value = f"{metric} {best.record['best']['metrics'][metric]:.4f}"
    about = (
        f"The best of {counted(len(plan['members']), 'trial')}, chosen for {value} with seed "
        f"{search.example.settings.seed}.\n# Expected: a little less than that, for the best of many is lucky as well."
    )
    print(f"best: {value}: {' '.join(f'{key}={chosen}' for key, chosen in values.items())}")
    for key, share in plan["search"]["importance"].items():
        print(f"  {share:4.0%} of what varies is due to {key}")
    path = CONFIG / "experiment" / f"{name}.yaml"
    if path.exists() and WRITTEN not in path.read_text(encoding="utf-8"):
        print(f"warning: {path} was not written by a search, and stays as it is; rename it to get another")
        return
    with atomic_file(path) as file:
        file.write(search.experiment(name, about, values).encode())
    print(f"what it is worth on {FRESH_SEEDS} fresh seeds: python runs/train.py +experiment={name}")
