"""The door of every entry point in runs/: composes a configuration, calls its task, says errors in a sentence."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from labkit.launching.streams import keep_streams

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
SWEEP = ("-m", "--multirun")
OTHER_FILES = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--experimental-rerun")
HIDDEN = ("hydra", "local")  # folders of config/ that are not for the command line


def main(config_name: str, load: Callable[[], tuple[type[T], Callable[[T], None]]], *, sweeps: bool = True) -> None:
    """Runs a task on config/<config_name>.yaml and the command line's overrides: once, or once per member of a sweep.

    `load` imports and returns the schema of the configuration, a dataclass, and the task. `sweeps`: whether it takes
    --multirun. Exit status 0, or 1 after "error: <one sentence>"; a mistake in the code, not in the input, shows its
    traceback.
    """
    keep_streams()
    try:
        os.chdir(ROOT)  # every path in config/ starts here
        _main(config_name, load, sweeps)
    except KeyboardInterrupt:  # also while all of it is imported, which takes a moment
        sys.exit(130)


def _main(config_name: str, load: Callable[[], tuple[type[Any], Callable[[Any], None]]], sweeps: bool) -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from labkit.runs.interruption import end_with_parent

        end_with_parent()
    from labkit.launching.errors import exit_with
    from labkit.secrets import refuse_secrets

    words = sys.argv[1:]
    try:
        _check_flags(words)
        # Before Hydra or anything else has seen them.
        refuse_secrets({key.lstrip("+"): value for key, _, value in (word.partition("=") for word in words)})
        if {"-h", "--help"} & set(words):
            print(_help())
            # Hydra's own help takes twice as long: it looks up every group again and again.
            shown = [word for word in words if word not in ("-h", "--help", *SWEEP)]
            sys.argv[1:] = [*shown, "--cfg", "job"]
        sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in SWEEP)  # Hydra wants it before all overrides
        import hydra

        from labkit.launching.entry_point import VERSION_BASE, EntryPoint
        from labkit.launching.hydra_node import guard_hydra

        guard_hydra()
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves every error to us
        run = hydra.main(**VERSION_BASE, config_path=str(ROOT / "config"), config_name=config_name)
        run(EntryPoint(load, sweeps))()
    except Exception as error:
        exit_with(error)


def _check_flags(words: list[str]) -> None:
    """ValueError for what changes, unseen by a reader of the project, which files are read or how."""
    for word in words:
        if word.partition("=")[0] in OTHER_FILES:
            raise ValueError(
                f"{word.partition('=')[0]}: would read other files than those of config/, where nobody looks for what "
                "a run was made of; put them there"
            )
    for path in (ROOT / "config").rglob("[!.]*.yaml"):
        name = path.relative_to(ROOT).as_posix()
        try:
            if path.read_text(encoding="utf-8").startswith("\ufeff"):
                raise ValueError(f"{name}: begins with a byte order mark, which hides its first line; save it without")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: is not UTF-8 text; save it as UTF-8") from error


def _help() -> str:
    groups = [path for path in sorted((ROOT / "config").iterdir()) if path.is_dir() and path.name not in HIDDEN]
    choices = {group.name: sorted(path.stem for path in group.glob("[!_.]*.yaml")) for group in groups}
    return "\n".join(
        [
            f"python runs/{Path(sys.argv[0]).name} [key=value ...]; --hydra-help lists Hydra's own flags",
            "",
            "Groups: group=choice takes the values of config/group/choice.yaml; +group=choice where none is chosen yet",
            *(f"  {group}: {', '.join(names)}" for group, names in choices.items()),
            "",
            "Configuration: key=value changes a value, as in training.epochs=5",
        ]
    )
