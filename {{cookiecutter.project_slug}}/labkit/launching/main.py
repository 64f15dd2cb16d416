"""The door of every entry point in runs/: composes a configuration, calls its task, says errors in a sentence."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


def main(config_name: str, load: Callable[[], tuple[type[T], Callable[[T], None]]]) -> None:
    """Runs a task on config/<config_name>.yaml and the command line's overrides: once, or once per member of a sweep.

    `load` imports and returns the schema of the configuration, a dataclass, and the task. Exit status 0, or 1 after
    "error: <one sentence>"; a mistake in the code, not in the input, shows its traceback.
    """
    try:
        os.chdir(ROOT)  # every path in config/ starts here
        _main(config_name, load)
    except KeyboardInterrupt:  # also while all of it is imported, which takes a moment
        sys.exit(130)


def _main(config_name: str, load: Callable[[], tuple[type[Any], Callable[[Any], None]]]) -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from labkit.runs.interruption import end_with_parent

        end_with_parent()
    from labkit.launching.errors import exit_with
    from labkit.secrets import refuse_secrets

    try:
        # Before Hydra or anything else has seen them.
        refuse_secrets({key.lstrip("+"): value for key, _, value in (word.partition("=") for word in sys.argv[1:])})
        import hydra

        from labkit.launching.task import VERSION_BASE, Task

        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves every error to us
        run = hydra.main(version_base=VERSION_BASE, config_path=str(ROOT / "config"), config_name=config_name)
        run(Task(*load()))()
    except Exception as error:
        exit_with(error)
