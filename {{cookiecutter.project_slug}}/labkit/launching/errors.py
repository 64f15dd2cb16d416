"""Errors as a user reads them: one sentence that names the key or the file, and says what to do."""

import errno
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from labkit.secrets import redact
from labkit.text import nearest
from labkit.values import flatten

ROOT = Path(__file__).resolve().parents[2]
FULL = (errno.ENOSPC, errno.EDQUOT)


def exit_with(error: Exception) -> NoReturn:
    """Ends this process with the error on stderr: a sentence, or the traceback of a mistake in the code."""
    message = sentence(error)
    if message is None:
        print(redact("".join(traceback.format_exception(error))), file=sys.stderr)
    else:
        process = f"process {os.environ['RANK']}: " if os.environ.get("RANK", "0") != "0" else ""  # of torchrun
        print(redact(f"{process}error: {message}"), file=sys.stderr)
    sys.exit(1)


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
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = f"{_from_root(mark.name)}, line {mark.line + 1}" if mark else "YAML"
        what = "a tab, where YAML wants spaces" if "'\\t'" in str(error.problem) else error.problem
        return f"{place}: {what}; correct the file"
    if isinstance(error, MemoryError):
        return f"memory: {str(error) or 'there is none left'}; ask for less, or use a machine that has more"
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


def _from_root(path: str) -> str:
    return Path(path).relative_to(ROOT).as_posix() if Path(path).is_relative_to(ROOT) else path


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _known_keys() -> set[str]:
    """The keys of every file in config/, as the command line names them."""
    keys = set()
    for path in (ROOT / "config").rglob("[!.]*.yaml"):
        text = path.read_text(encoding="utf-8", errors="replace")
        group = path.parent.relative_to(ROOT / "config").as_posix()
        keys |= {group} if group != "." else set()
        package = "" if group == "." or "@package _global_" in text else f"{group.replace('/', '.')}."
        with suppress(yaml.YAMLError, AttributeError):  # the error of today is another one
            keys |= set(flatten(yaml.safe_load(text) or {}, package))
    return keys
