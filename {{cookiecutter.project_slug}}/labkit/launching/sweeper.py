"""A sweep: every combination of the swept keys becomes a member; each is checked, planned and handed to the launcher.

Hydra's own sweeper refuses the whole sweep for one bad member, and names only the first one that fails.
"""

import contextlib
import hashlib
import json
import math
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from omegaconf import DictConfig, OmegaConf

from labkit.config import TrainConfig, typed
from labkit.launching.compose import Composer
from labkit.runs.files import read_json, write_json
from labkit.runs.folder import RunFolder
from labkit.runs.identity import run_path
from labkit.runs.interruption import Interruption
from labkit.runs.liveness import sign_of_death
from labkit.runs.provenance import code_id
from labkit.runs.slurm_queue import planned_jobs
from labkit.secrets import refuse_secrets


@dataclass
class Member:
    """One run of a sweep. A refused one may lack what it was refused for."""

    overrides: list[str]
    name: str = ""  # the overrides that tell it from the other members
    config: DictConfig | None = None  # Hydra's node included
    settings: TrainConfig | None = None  # the same without it, checked
    folder: RunFolder | None = None
    finished_with: str | None = None  # the code_id of a run that had finished before
    starts: int = 0
    job: str | None = None  # of Slurm, as "12_3"
    status: str = "waiting"  # then submitted, finished, refused, failed, diverged, killed or interrupted
    reason: str | None = None  # a sentence

    def check(self) -> None:
        """Fills in what follows from the configuration. ValueError in a sentence: see config.py."""
        from labkit.launching.main import chosen_ablation

        assert self.config is not None
        self.config.ablation = chosen_ablation(self.config.hydra)
        self.settings = typed(TrainConfig, {str(key): node for key, node in self.config.items() if key != "hydra"})
        self.folder = RunFolder(run_path(self.settings))


class MemberSweeper(BasicSweeper):
    """`hydra.sweeper.params` and the command line's `key=a,b` as in Hydra's basic sweeper; each of
    `hydra.sweeper.combinations`, a list of settings, is swept with them."""

    def __init__(self, max_jobs: int, params: dict[str, str] | None, combinations: list[dict[str, Any]] | None) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.max_jobs = max_jobs
        self.combinations = combinations

    def sweep(self, arguments: list[str]) -> None:
        """ValueError, after every other member has run or was submitted, if one was refused or failed."""
        launcher: Any = self.launcher
        if not hasattr(launcher, "launch_members"):
            raise ValueError(
                "hydra/launcher: this project's sweeps need its own launchers; use +launcher=joblib, slurm or none"
            )
        with Interruption() as interruption:
            members = self._members(arguments, interruption)
            to_run = _say_what_there_is(members)
            launcher.check_members(to_run)
            if launcher.dry_run:
                _say_what_would_be_done(members)
                return
            _discard(to_run)
            _write_plans(members)
            try:
                launcher.launch_members([m for m in to_run if m.status != "refused"], interruption)
            finally:
                _write_plans(members)
            if interruption.received:
                _say_how_far(members)
            interruption.check()
        _conclude(members)

    def _members(self, arguments: list[str], interruption: Interruption) -> list[Member]:
        """Checked. ValueError where there are none or suspiciously many."""
        assert self.hydra_context is not None
        assert self.config is not None
        if os.environ.get("WORLD_SIZE", "1") != "1":
            raise ValueError("--multirun: torchrun starts one run on several processes; start the sweep without it")
        if not isinstance(self.max_jobs, int):
            raise ValueError(f"hydra.sweeper.max_jobs: must be a number of members, not {self.max_jobs}")
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        swept = [
            parser.parse_overrides([*self._parse_config(), *combination, *arguments])
            for combination in _as_overrides(self.combinations)
        ]
        refuse_secrets({o.key_or_group: (o.input_line or "").partition("=")[2] for one in swept for o in one})
        n = sum(math.prod({o.get_key_element(): _values(o) for o in one}.values()) for one in swept)
        if n > self.max_jobs:
            raise ValueError(
                f"hydra.sweeper.max_jobs: the sweep has {n} members, more than {self.max_jobs}; "
                f"add hydra.sweeper.max_jobs={n} if that is meant"
            )
        composer = Composer(loader, self.config)
        given = []
        for overrides in (member for one in swept for member in self.split_arguments(one, None)[0]):
            interruption.check()
            given.append(_checked(composer, list(overrides)))
        members = list({(m.folder and m.folder.path) or str(m.overrides): m for m in given}.values())  # each run once
        if not members:
            raise ValueError("--multirun: no member; a swept key has no values")
        common = set.intersection(*(set(m.overrides) for m in members))
        for member in members:
            member.name = " ".join(o for o in member.overrides if o not in common or len(members) == 1)
            if member.settings and member.settings.restart:
                _restart_once(member)
        _find_jobs(members)
        return members


def _as_overrides(combinations: Any) -> list[list[str]]:
    """[{"model": "net2", "optimizer.lr": 0.1}] as [["model=net2", "optimizer.lr=0.1"]]."""
    if combinations is None:
        return [[]]
    if not combinations or not all(isinstance(one, Mapping) and one for one in combinations):
        raise ValueError("hydra.sweeper.combinations: must be a list of settings, such as [{model: net2, seed: 0}]")
    settings: Any = OmegaConf.to_container(OmegaConf.create(list(combinations)), resolve=False)
    return [[f"{key}={v if isinstance(v, str) else json.dumps(v)}" for key, v in one.items()] for one in settings]


def _checked(composer: Composer, overrides: list[str]) -> Member:
    from modules.train import finished_code

    member = Member(overrides)
    with _refusing(member):
        member.config = composer.compose(overrides)
        member.check()
        assert member.settings
        assert member.folder
        if not member.settings.restart:
            member.finished_with = finished_code(member.folder, member.settings)
            member.status = "finished" if member.finished_with else "waiting"
    return member


def _find_jobs(members: list[Member]) -> None:
    """Of members that were submitted before, by this sweep or another one."""
    studies = {member.folder.path.parent for member in members if member.folder}
    jobs = {study / name: job for study in studies for name, job in planned_jobs(study).items()}
    for member in members:
        member.job = jobs.get(member.folder.path) if member.folder else None


def _restart_once(member: Member) -> None:
    """Not again when it is started again: then it goes on."""
    assert member.config is not None
    member.overrides = [o for o in member.overrides if not o.lstrip("+").startswith("restart=")]
    member.config.hydra.overrides.task = member.overrides
    member.config.restart = False


def _discard(members: list[Member]) -> None:
    """Clears the folders of those that are to begin anew."""
    from modules.train import discard

    for member in members:
        if member.settings and member.settings.restart and member.status == "waiting":
            with _refusing(member):
                discard(member.settings)
            _say_if_refused(member)


@contextlib.contextmanager
def _refusing(member: Member) -> Iterator[None]:
    """A mistake in the input is the member's; one in the code ends the sweep."""
    from labkit.launching.main import sentence

    try:
        yield
    except Exception as error:
        if (message := sentence(error)) is None:
            raise
        member.status, member.reason = "refused", message


def _values(override: Override) -> int:
    """How many a key is swept over, without listing those of a range."""
    if not override.is_discrete_sweep():
        return 1
    swept = override.value()
    if isinstance(swept, RangeSweep) and swept.start is not None and swept.stop is not None and swept.step:
        return max(0, math.ceil((swept.stop - swept.start) / swept.step))
    return sum(1 for _ in override.sweep_iterator())


def _write_plans(members: list[Member]) -> None:
    """<study>/.sweeps/<id>.json, for every study of the sweep: so that a member that never ran is missed."""
    command = shlex.join(["python", *(word for word in sys.argv if not word.lstrip("+").startswith("restart="))])
    for study in {m.folder.path.parent for m in members if m.folder and m.status != "refused"}:
        here = [m for m in members if m.folder is None or m.folder.path.parent == study]
        planned = [
            {
                "name": m.folder and m.folder.path.name,
                "overrides": m.overrides,
                "job": m.job,
                "error": None if m.job or m.status in ("finished", "interrupted") else m.reason,
            }
            for m in here
        ]
        identity = hashlib.sha256(json.dumps(sorted(m.overrides for m in here)).encode()).hexdigest()[:12]
        path = study / ".sweeps" / f"{identity}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"format": 1, "command": command, "members": planned})
        for other in path.parent.glob("*.json"):
            names = {m["name"] for m in (read_json(other) or {}).get("members", [])}
            if other != path and None in names and names <= {None, *(m["name"] for m in planned)}:
                other.unlink(missing_ok=True)  # it was mistyped, and this sweep has all the runs that it named


def _say_if_refused(member: Member) -> None:
    if member.status == "refused":
        print(f"refused: {member.name}: {member.reason}", file=sys.stderr)


def _say_what_there_is(members: list[Member]) -> list[Member]:
    """Returns those to run."""
    for member in members:
        _say_if_refused(member)
    finished, to_run = ([m for m in members if m.status == status] for status in ("finished", "waiting"))
    refused = len(members) - len(finished) - len(to_run)
    counts = f"{len(finished)} finished already, {refused} refused, {len(to_run)} to run"
    print(f"{len(members)} members: {counts}", flush=True)
    if other := sum(m.finished_with != code_id() for m in finished):
        print(f"warning: {other} finished with other code than there is now; add restart=true to run them again")
    return to_run


def _say_what_would_be_done(members: list[Member]) -> None:
    for member in members:
        before = member.folder.read_state() if member.folder else {}
        if (
            member.folder
            and before.get("status") == "running"
            and sign_of_death(f"{member.folder.path}/state.json", before)
        ):
            before["status"] = "dead"
        done = member.status if member.status in ("finished", "refused") else "to do"
        how = member.reason or (f"{before['status']} before, at step {before.get('step', 0)}" if before else "")
        print(f"  {done:8}  {member.name}" + (f"  ({how})" if how and done != "finished" else ""))


def _conclude(members: list[Member]) -> None:
    unfinished = [m for m in members if m.status not in ("finished", "submitted")]
    if unfinished:
        raise ValueError(f"{len(unfinished)} of {len(members)} members did not finish:\n{_table(unfinished)}")
    if not any(m.status == "submitted" for m in members):
        print(f"all {len(members)} members are finished")


def _say_how_far(members: list[Member]) -> None:
    count = Counter(m.status for m in members)
    ended = f"{count['finished']} of {len(members)} members are finished, {count['interrupted']} were interrupted"
    started = f"{count['submitted']} are with Slurm, " if count["submitted"] else ""
    print(f"interrupted: {ended}, {started}{count['waiting']} not started; the same command goes on", flush=True)
    if others := [m for m in members if m.status not in ("finished", "interrupted", "submitted", "waiting")]:
        print(_table(others), file=sys.stderr)


def _table(members: list[Member]) -> str:
    """Of each how it ended, its name, the reason, and the log if there is one."""
    widths = [max(len(m.status) for m in members), max(len(m.name) for m in members)]
    lines = []
    for m in members:
        lines.append(f"  {m.status:{widths[0]}}  {m.name:{widths[1]}}  {m.reason}")
        log = m.folder and m.folder.path / (m.folder.read_state().get("log") or "train.log")
        if log and log.exists():
            lines.append(f"  {'':{widths[0]}}  {log}")
    return "\n".join(lines)
