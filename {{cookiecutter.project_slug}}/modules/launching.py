"""Everything that touches Hydra: composing a configuration, calling a task with it, and errors in one sentence."""

import errno
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from modules.utils.config import flatten, nearest, typed
from modules.utils.interruption import end_with_parent
from modules.utils.secrets import redact, refuse_secrets

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
FULL = (errno.ENOSPC, errno.EDQUOT)


def main(config_name: str, schema: type[T], task: Callable[[T], None]) -> None:
    """Runs `task` on config/<config_name>.yaml and the command line's overrides: once, or once per member of a sweep.

    Exit status 0, or 1 after "error: <one sentence>"; a mistake in the code, not in the input, shows its traceback.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        end_with_parent()
    os.chdir(ROOT)  # every path in config/ starts here
    _refuse_secrets_typed()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves every error to us
    try:
        hydra.main(version_base="1.3", config_path=str(ROOT / "config"), config_name=config_name)(Task(schema, task))()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _exit(error)


class Task:
    """Checks what Hydra composed and calls the task with it. Picklable: a sweep sends it to its workers."""

    def __init__(self, schema: type[T], task: Callable[[T], None]) -> None:
        self.schema = schema
        self.task = task

    def __call__(self, composed: DictConfig) -> None:
        try:
            _check_choices()
            refuse_secrets(flatten(OmegaConf.to_container(HydraConfig.get().job, resolve=False)))
            if "ablation" in composed:
                composed.ablation = chosen_ablation(HydraConfig.get())
            self.task(typed(self.schema, for_schema(self.schema, composed)))
        except Exception as error:
            if HydraConfig.get().mode == RunMode.RUN:
                _exit(error)  # out of Hydra's sight, which would print a line of its own
            raise


def sentence(error: BaseException) -> str | None:
    """What a user has to know, or None for a mistake in the code: a ValueError that a line of this project raises is a
    sentence already, one from inside a library is not."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        hint = nearest(choice, error.options)
        return f'{group}: there is no "{choice}", there is {", ".join(error.options)}{hint or "; choose one of them"}'
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value ({_first_line(error)}); put quotes around special signs"
    if isinstance(error, HydraException | OmegaConfBaseException):
        key = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
        if key and "Could not override" in str(error):
            return f"{key}: nothing reads this key{nearest(key, _known_keys())}"
        return f"{key + ': ' if key else ''}{' '.join(str(error).split())}"
    if isinstance(error, OSError) and (error.filename or error.errno in FULL):
        place = f"{error.filename}: " if error.filename else ""
        advice = "make room there" if error.errno in FULL else "look at what is there"
        return f"{place}{error.strerror}; {advice}, or choose another place"
    if "Config group override must be" in str(error):
        groups = [word for word in sys.argv[1:] if (ROOT / "config" / word.partition("=")[0]).is_dir()]
        return f"{' '.join(groups)}: takes the name of a file in config/; see --help"
    if str(error).startswith("Only one of --run"):
        return "--multirun: cannot be combined with --cfg or --info; leave one of them out"
    frames = traceback.extract_tb(error.__traceback__)
    raised_in = Path(frames[-1].filename) if frames else Path()
    own = raised_in.is_relative_to(ROOT) and "site-packages" not in raised_in.parts
    return str(error) if isinstance(error, ValueError) and own else None


def for_schema(schema: type, composed: DictConfig) -> DictConfig | dict[str, Any]:
    """The tools read single keys of `system` by interpolation and have no such node of their own."""
    if "system" in schema.__dataclass_fields__:
        return composed
    return {str(key): value for key, value in composed.items() if key != "system"}


def chosen_ablation(config: Any) -> str | None:
    """The name of the file in config/ablation/ that Hydra's node of a configuration says was chosen."""
    return config.runtime.choices.get("ablation")


def _check_choices() -> None:
    for override in task_overrides(HydraConfig.get()):
        group, _, choice = override.lstrip("+").partition("=")
        if choice.startswith("[") and group != "experiment" and (ROOT / "config" / group).is_dir():
            sweep = f"--multirun {group}={choice.strip('[]')}"
            raise ValueError(f"{group}: takes one choice, not {choice}; to sweep over them, use {sweep}")


def rerun_command() -> str:
    """The command that runs this one member again, whatever sweep or launcher it came from."""
    config = HydraConfig.get()
    mode = ["hydra.mode=RUN"] if config.mode == RunMode.MULTIRUN else []
    return shlex.join(["python", f"runs/{config.job.name}.py", *mode, *run_overrides(config)])


def task_overrides(config: Any) -> list[str]:
    """Of Hydra's node of a configuration: as they were typed, interpolations and all."""
    return cast(list[str], OmegaConf.to_container(config.overrides.task, resolve=False))


def run_overrides(config: Any) -> list[str]:
    """Those that are about the run, whatever launches it."""
    launching = ("launcher=", "restart=")
    return [override for override in task_overrides(config) if not override.lstrip("+").startswith(launching)]


def save_hydra_snapshot(folder: Path) -> None:
    """What Hydra itself would have saved: its own configuration and the overrides."""
    folder.mkdir(exist_ok=True)
    config = HydraConfig.get()
    OmegaConf.save(OmegaConf.create({"hydra": config}), folder / "hydra.yaml")
    OmegaConf.save(config.overrides.task, folder / "overrides.yaml")


def _exit(error: Exception) -> NoReturn:
    if isinstance(error, BrokenPipeError):  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    message = sentence(error)
    if message is None:
        print(redact("".join(traceback.format_exception(error))), file=sys.stderr)
    else:
        process = f"process {os.environ['RANK']}: " if os.environ.get("RANK", "0") != "0" else ""  # of torchrun
        print(redact(f"{process}error: {message}"), file=sys.stderr)
    sys.exit(1)


def _refuse_secrets_typed() -> None:
    """Before Hydra or anything else has seen them."""
    try:
        refuse_secrets({key.lstrip("+"): value for key, _, value in (word.partition("=") for word in sys.argv[1:])})
    except ValueError as error:
        _exit(error)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _known_keys() -> set[str]:
    """The keys of every file in config/, as the command line names them."""
    keys = set()
    for path in (ROOT / "config").rglob("*.yaml"):
        if path.parent.name == "study":  # for the report only
            continue
        text = path.read_text(encoding="utf-8")
        group = path.parent.relative_to(ROOT / "config").as_posix()
        keys |= {group} if group != "." else set()
        package = "" if group == "." or "@package _global_" in text else f"{group.replace('/', '.')}."
        keys |= set(flatten(yaml.safe_load(text) or {}, package))
    return keys
