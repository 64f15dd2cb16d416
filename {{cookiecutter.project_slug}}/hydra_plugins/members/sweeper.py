"""A sweep: every combination of the swept keys becomes a member; each is checked, planned and handed to the launcher.

Hydra's own sweeper refuses the whole sweep for one bad member, and names only the first one that fails.
"""

import hashlib
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from hydra_plugins.members.compose import Composer


@dataclass
class Member:
    """One run of a sweep. `error`: a sentence on why it was refused or failed; `folder`: None if it has no name yet."""

    overrides: list[str]
    config: DictConfig | None = None
    folder: Path | None = None
    error: str | None = None
    finished_with: str | None = None  # the code_id of a finished run


class MemberSweeper(BasicSweeper):
    """`hydra.sweeper.params` and the command line's `key=a,b` as in Hydra's basic sweeper."""

    def sweep(self, arguments: list[str]) -> None:
        """ValueError, after every other member has run, if one was refused or failed."""
        from modules.utils.provenance import code_id

        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        swept = OverridesParser.create(config_loader=loader).parse_overrides(self._parse_config() + arguments)
        composer = Composer(loader, self.config)
        given = [_checked(composer, list(overrides)) for overrides in self.split_arguments(swept, None)[0]]
        members = list({m.folder or str(m.overrides): m for m in given}.values())  # a setting given twice is one run
        if not members:
            raise ValueError("--multirun: no member; a swept key has no values")
        for member in members:
            if member.error:
                print(f"refused: {' '.join(member.overrides)}: {member.error}", file=sys.stderr)
        _write_plans(members)
        to_run = [m for m in members if m.error is None and not m.finished_with]
        finished, refused = [m for m in members if m.finished_with], [m for m in members if m.error]
        counts = f"{len(finished)} finished already, {len(refused)} refused, {len(to_run)} to run"
        print(f"{len(members)} members: {counts}", flush=True)
        if other := sum(m.finished_with != code_id() for m in finished):
            print(f"warning: {other} finished with other code than there is now; remove their folders to run again")
        self._run(to_run)
        _write_plans(members)
        _conclude(members)

    def _run(self, members: list[Member]) -> None:
        from hydra_plugins.members.launcher import MemberLauncher

        if not isinstance(self.launcher, MemberLauncher):
            raise ValueError(
                "hydra/launcher: this project's sweeps need its own launchers; use +launcher=joblib or none"
            )
        errors = self.launcher.launch_members([m.config for m in members if m.config])
        for member, error in zip(members, errors, strict=True):
            member.error = error


def _checked(composer: Composer, overrides: list[str]) -> Member:
    from modules.launching import sentence
    from modules.tasks import finished_code
    from modules.utils.config import TrainConfig, typed
    from modules.utils.identity import run_path
    from modules.utils.run_folder import RunFolder

    folder = None
    try:
        composed = composer.compose(overrides)
        config = typed(TrainConfig, {str(key): node for key, node in composed.items() if key != "hydra"})
        folder = run_path(config)
        finished_with = finished_code(RunFolder(folder), config)
    except Exception as error:
        if (message := sentence(error)) is None:
            raise
        return Member(overrides, folder=folder, error=message)
    return Member(overrides, composed, folder, finished_with=finished_with)


def _write_plans(members: list[Member]) -> None:
    """<study>/.sweeps/<id>.json, for every study of the sweep: so that a member that never ran is missed."""
    from modules.utils.run_folder import write_json

    for study in {m.folder.parent for m in members if m.folder}:
        here = [m for m in members if m.folder is None or m.folder.parent == study]
        planned = [{"name": m.folder and m.folder.name, "overrides": m.overrides, "error": m.error} for m in here]
        identity = hashlib.sha256(json.dumps(sorted(m.overrides for m in here)).encode()).hexdigest()[:12]
        (study / ".sweeps").mkdir(parents=True, exist_ok=True)
        plan = {"format": 1, "command": shlex.join(["python", *sys.argv]), "members": planned}
        write_json(study / ".sweeps" / f"{identity}.json", plan)


def _conclude(members: list[Member]) -> None:
    failed = [m for m in members if m.error]
    if not failed:
        print(f"all {len(members)} members are finished")
        return
    lines = []
    for member in failed:
        lines.append(f"  {' '.join(member.overrides)}: {member.error}")
        if member.folder and (member.folder / "train.log").exists():
            lines.append(f"    {member.folder / 'train.log'}")
    raise ValueError(f"{len(failed)} of {len(members)} members did not finish:\n" + "\n".join(lines))
