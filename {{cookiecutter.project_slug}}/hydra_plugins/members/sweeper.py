"""A sweep: every combination of the swept keys becomes a member; each is checked, planned and handed to the launcher.

Hydra's own sweeper refuses the whole sweep for one bad member, and names only the first one that fails.
"""

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn


@dataclass
class Member:
    """One run of a sweep: `error` says in a sentence why it was refused or failed; `folder` is None if that is unknown."""

    overrides: list[str]
    folder: Path | None = None
    error: str | None = None

    @property
    def label(self) -> str:
        return self.folder.name if self.folder else " ".join(self.overrides)


class MemberSweeper(BasicSweeper):
    """`hydra.sweeper.params` and the command line's `key=a,b` as in Hydra's basic sweeper."""

    def sweep(self, arguments: list[str]) -> None:
        """ValueError, after every other member has run, if one was refused or failed."""
        assert self.hydra_context is not None and self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        swept = parser.parse_overrides(self._parse_config() + arguments)
        members = [self._compose(overrides) for overrides in self.split_arguments(swept, None)[0]]
        self._write_plans(members)
        to_run = [m for m in members if m.error is None and m.folder and not (m.folder / "run.json").exists()]
        for member in members:
            if member.error:
                print(f"refused: {member.label}: {member.error}", file=sys.stderr)
        good = sum(m.error is None for m in members)
        print(f"{len(members)} members: {good - len(to_run)} finished already, {len(to_run)} to run", flush=True)
        for member, ended in zip(to_run, self._launch(to_run), strict=True):
            member.error = ended.return_value
        self._write_plans(members)
        self._conclude(members)

    def _compose(self, overrides: Sequence[str]) -> Member:
        from modules.launching import sentence
        from modules.utils.config import TrainConfig, typed
        from modules.utils.identity import run_name

        member = Member(list(overrides))
        try:
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, member.overrides)
            config = typed(TrainConfig, {k: v for k, v in composed.items() if k != "hydra"})
            member.folder = Path(config.system.runs_dir) / config.study / run_name(config)
        except Exception as error:
            member.error = sentence(error)
            if member.error is None:
                raise
        return member

    def _launch(self, members: list[Member]) -> Sequence[JobReturn]:
        return self.launcher.launch([m.overrides for m in members], initial_job_idx=0) if members else []

    def _write_plans(self, members: list[Member]) -> None:
        """<study>/.sweeps/<id>.json: so that a member that never ran is missed."""
        from modules.utils.run_folder import write_json

        for study in {m.folder.parent for m in members if m.folder}:
            mine = [m for m in members if m.folder is None or m.folder.parent == study]
            identity = hashlib.sha256(json.dumps(sorted(m.overrides for m in mine)).encode()).hexdigest()[:12]
            (study / ".sweeps").mkdir(parents=True, exist_ok=True)
            planned: list[dict[str, Any]] = [
                {"name": m.folder and m.folder.name, "overrides": m.overrides, "error": m.error} for m in mine
            ]
            plan = {"format": 1, "command": shlex.join(["python", *sys.argv]), "members": planned}
            write_json(study / ".sweeps" / f"{identity}.json", plan)

    def _conclude(self, members: list[Member]) -> None:
        failed = [m for m in members if m.error]
        if not failed:
            print(f"all {len(members)} members are finished")
            return
        lines = [f"  {' '.join(m.overrides)}\n    {m.error}" for m in failed]
        lines += [f"    {m.folder / 'train.log'}" for m in failed if m.folder and (m.folder / "train.log").exists()]
        raise ValueError(f"{len(failed)} of {len(members)} members did not finish:\n" + "\n".join(lines))
