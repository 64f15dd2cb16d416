"""A sweep: every combination of the swept keys is a member; each is checked, planned and handed to the launcher.

Hydra's own sweeper refuses the whole sweep for one bad member, and names only the first one that fails.
"""

import functools
import itertools
import operator
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.types import HydraContext
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from labkit.launching.combinations import overrides_of_members, parsed
from labkit.launching.compose import Composer
from labkit.launching.entry_point import CheckedTask, EntryPoint
from labkit.launching.errors import sentence
from labkit.launching.evaluation import evaluate_all
from labkit.launching.member import Member, Refused, checked_member
from labkit.launching.plans import write_plans
from labkit.launching.search import Search, run_search, search_settings
from labkit.runs.files import LOG
from labkit.runs.interruption import Interruption
from labkit.runs.liveness import sign_of_death
from labkit.runs.notebook import note_runs
from labkit.runs.provenance import code_id
from labkit.runs.slurm_queue import planned_jobs
from labkit.runs.standing import discard, finished_code


def sweep(
    arguments: list[str],
    *,
    max_jobs: int,
    params: Mapping[str, Any] | None,
    combinations: Sequence[Mapping[str, Any]] | None,
    search: Mapping[str, Any],
    hydra_context: HydraContext,
    task_function: EntryPoint,
    config: DictConfig,
) -> None:
    """Runs or submits every member that has not finished.

    Swept over are the command line's arguments and `params`, {"seed": "0,1"}, once for each of `combinations`. With a
    budget in `search`, see search.py, only what a sampler chooses of them.
    ValueError, after every other member has run or was submitted, if one was refused or failed.
    """
    if not task_function.sweeps:
        raise ValueError("--multirun: this command takes one run; leave it out, or add hydra.mode=RUN to an experiment")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ValueError("--multirun: torchrun starts one run on several processes; start the sweep without it")
    if not isinstance(max_jobs, int):
        raise ValueError(f"hydra.sweeper.max_jobs: must be a number of members, not {max_jobs}")
    launcher = make_launcher(config.hydra.launcher)
    task = task_function.task(hydra_context)
    composer = Composer(hydra_context.config_loader, config)
    swept = {key: value for key, value in (params or {}).items() if value is not None}  # taken out by another file
    words = [*(f"{key}={value}" for key, value in swept.items()), *arguments]
    make = functools.partial(_made, composer=composer, task=task, outer=config.hydra.sweeper)
    if budget := search_settings(search):
        if combinations:
            raise ValueError("hydra.sweeper.combinations: a search takes its values from params; leave one of them out")
        with Interruption() as interruption:
            trials = Search(budget, parsed(composer.parser, words), make)
            _check_no_debugging([trials.example])
            run_search(trials, launcher, task, interruption)
        return
    given = overrides_of_members(composer.parser, words, combinations, max_jobs)
    with Interruption() as interruption:
        if "runs" in task.schema.__dataclass_fields__:  # it is about runs that are there
            evaluate_all(given, composer, launcher, task, interruption)
            return
        common = set.intersection(*map(set, given)) if len(given) > 1 else set()
        made: list[Member | Refused] = []
        for overrides in given:
            interruption.check()
            name = " ".join(override for override in overrides if override not in common)
            made.append(make(name, overrides))
        # Different overrides may come to the same run, as ablation=none and no ablation do.
        members = list({m.folder.path if m.folder else str(m.overrides): m for m in made}.values())
        _find_jobs(members)
        to_run = _say_what_there_is(members)
        checked = [member for member in members if isinstance(member, Member)]
        _check_no_debugging(checked)
        launcher.check(checked)
        if launcher.dry_run:
            _say_what_would_be_done(members)
            return
        for member in to_run:
            if member.settings.restart and member.status == "waiting":
                _discard(member)
        write_plans(members)
        try:
            launcher.launch(checked, task, interruption, keep=lambda: write_plans(members))
        finally:
            write_plans(members)
        if interruption.received:
            _say_how_far(members)
        interruption.check()
    if to_run:
        _note(checked, arguments)
    _conclude(members)


def _check_no_debugging(members: Sequence[Member]) -> None:
    if any(member.settings.system.debug for member in members):
        raise ValueError("debug: takes one run; leave out --multirun")


def make_launcher(node: DictConfig) -> Any:
    """What config/launcher/ asks for: a labkit.launching.local.LocalLauncher or labkit.launching.slurm.SlurmLauncher.

    ValueError where it is another one, or a value is out of range.
    """
    values: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # pyright: ignore[reportAssignmentType]
    target = values.pop("_target_")
    if not target.startswith("labkit."):
        raise ValueError(
            "hydra/launcher: this project's sweeps need its own launchers; use +launcher=joblib, slurm or none"
        )
    return get_class(target)(**values)


def _made(
    name: str, overrides: list[str], composer: Composer, task: CheckedTask[Any], outer: DictConfig
) -> Member | Refused:
    """Refused for a mistake in the input; one in the code ends the sweep. `outer`: the sweeper of this sweep."""
    try:
        config = composer.compose(overrides)
        _check_inner_sweep(config.hydra.sweeper, outer)
        member = checked_member(name, config, task)
    except Exception as error:
        if (reason := sentence(error)) is None:
            raise
        return Refused(name, overrides, reason)
    if member.settings.restart:
        # Once: a member that is started again goes on, and so does its own command.
        member.overrides = [o for o in overrides if not o.lstrip("+").startswith("restart=")]
        config.hydra.overrides.task = member.overrides
        config.restart = False
        return member
    with _refusing(member):
        member.finished_with = finished_code(member.folder, member.settings)
        member.status = "finished" if member.finished_with else "waiting"
    return member


def _check_inner_sweep(inner: DictConfig, outer: DictConfig) -> None:
    """ValueError where a member's own file, such as one of several experiments, sweeps over something itself."""
    own = (inner.params, inner.combinations, inner.search.trials, inner.search.hours)
    if any(own) and own != (outer.params, outer.combinations, outer.search.trials, outer.search.hours):
        raise ValueError("experiment: holds a sweep of its own, which this sweep would not run; start it alone")


def _find_jobs(members: Sequence[Member | Refused]) -> None:
    """Of members that were submitted before, by this sweep or another one."""
    checked = [member for member in members if isinstance(member, Member)]
    jobs = {study: planned_jobs(study) for study in {member.folder.path.parent for member in checked}}
    for member in checked:
        member.job = jobs[member.folder.path.parent].get(member.folder.path.name)


def _discard(member: Member) -> None:
    """Clears the folder of a member that starts over."""
    with _refusing(member):
        discard(member.settings)
    _say_if_refused(member)


@contextmanager
def _refusing(member: Member) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if (reason := sentence(error)) is None:
            raise
        member.status, member.reason = "refused", reason


def _say_if_refused(member: Member | Refused) -> None:
    if member.status == "refused":
        print(f"refused: {member.name}: {member.reason}", file=sys.stderr)


def _say_what_there_is(members: Sequence[Member | Refused]) -> list[Member]:
    """Returns those to run."""
    for member in members:
        _say_if_refused(member)
    count = Counter(member.status for member in members)
    counts = f"{count['finished']} finished already, {count['refused']} refused, {count['waiting']} to run"
    print(f"{len(members)} members: {counts}", flush=True)
    checked = [member for member in members if isinstance(member, Member)]
    if other := sum(member.finished_with not in (None, code_id()) for member in checked):
        print(f"warning: {other} finished with other code than there is now; add restart=true to run them again")
    return [member for member in checked if member.status == "waiting"]


def _say_what_would_be_done(members: Sequence[Member | Refused]) -> None:
    for member in members:
        done = member.status if member.status in ("finished", "refused") else "to do"
        how = member.reason or (_before(member) if isinstance(member, Member) and done == "to do" else "")
        print(f"  {done:8}  {member.name}" + (f"  ({how})" if how else ""))


def _before(member: Member) -> str:
    """How a member stands that was begun before; "" if it was not."""
    state = member.folder.read_state()
    if not state:
        return ""
    dead = state["status"] == "running" and sign_of_death(str(member.folder.state), state)
    return f"{'dead' if dead else state['status']} before, at step {state.get('step', 0)}"


def _note(members: Sequence[Member], arguments: Sequence[str]) -> None:
    """One line in the lab notebook for each study."""
    study_of = operator.attrgetter("settings.study")
    for study, own in itertools.groupby(sorted(members, key=study_of), study_of):
        note_runs(study, arguments, [(m.status, m.folder.read_result()) for m in own])


def _conclude(members: Sequence[Member | Refused]) -> None:
    unfinished = [m for m in members if m.status not in ("finished", "submitted")]
    if unfinished:
        raise ValueError(f"{len(unfinished)} of {len(members)} members did not finish:\n{_table(unfinished)}")
    if not any(m.status == "submitted" for m in members):
        print(f"all {len(members)} members are finished")


def _say_how_far(members: Sequence[Member | Refused]) -> None:
    count = Counter(m.status for m in members)
    ended = f"{count['finished']} of {len(members)} members are finished, {count['interrupted']} were interrupted"
    started = f"{count['submitted']} are with Slurm, " if count["submitted"] else ""
    print(f"interrupted: {ended}, {started}{count['waiting']} not started; the same command goes on", flush=True)
    if others := [m for m in members if m.status not in ("finished", "interrupted", "submitted", "waiting")]:
        print(_table(others), file=sys.stderr)


def _table(members: Sequence[Member | Refused]) -> str:
    """Of each how it ended, its name, the reason, and the log if there is one."""
    status_width = max(len(m.status) for m in members)
    name_width = max(len(m.name) for m in members)
    lines = []
    for m in members:
        lines.append(f"  {m.status:{status_width}}  {m.name:{name_width}}  {m.reason}")
        log = m.folder and m.folder.path / (m.folder.read_state().get("log") or LOG)
        if log and log.exists():
            lines.append(f"  {'':{status_width}}  {log}")
    return "\n".join(lines)
