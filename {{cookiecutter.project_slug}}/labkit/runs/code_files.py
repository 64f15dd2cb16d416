"""Which files of a project are its code: what code_id stands for, what jobs get a copy of, and what a diff may show."""

import fnmatch
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from labkit.secrets import redact_file

CODE = ("runs", "modules", "labkit", "hydra_plugins")
SETTINGS = ("config", "studies", "env_setup", "pyproject.toml")  # a diff shows them, too
NO_CODE = (*SETTINGS, "data", "docs", "tests", "thesis")  # what is in there no run imports
IMPORTED = (".py", ".so", ".pyd")
_IMPORT = rb"^\s*(?:from|import)\s[^#\n]*\b%s\b"
LARGEST = 20 * 10**6  # bytes of all code: each run keeps what has changed in it, and each submission a copy
_LEFT_OUT = (".*", "__pycache__", "*.pyc", "*~", "#*#")  # also .env, and the lock files of editors
_KEYS = (
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "*.jks", "*.keystore", "*.kdbx", "*.env", "id_rsa*", "id_dsa*"),
    *("id_ecdsa*", "id_ed25519*", "_netrc", "credential*", "client_secret*", "service_account*", "kaggle.json"),
)
_is_left_out = re.compile("|".join(map(fnmatch.translate, _LEFT_OUT))).match
_is_key = re.compile("|".join(map(fnmatch.translate, _KEYS)), re.IGNORECASE).match


def code_files(root: Path) -> dict[str, Path]:
    """{its name: its path} of every file in the folders of CODE, and in your own packages and modules beside them that
    these import.

    A link is followed to a file, and to a folder of code; another one stays a link. ValueError, naming the largest
    file, where they are too large.
    """
    names = [name for folder in CODE for name in _files(root, folder)]
    yours = {name.split(".")[0]: name for name in os.listdir(root) if name not in (*CODE, *NO_CODE)}
    yours = {module: name for module, name in yours.items() if module.isidentifier() and _may_import(root / name)}
    unread = names
    while yours and unread:
        text = b"\n".join((root / name).read_bytes() for name in unread if name.endswith(".py"))
        found = [module for module in yours if re.search(_IMPORT % module.encode(), text, re.MULTILINE)]
        unread = [name for module in found for name in _files(root, yours.pop(module))]
        names += unread
    return _checked(root, names)


def settings_files(root: Path, places: Iterable[str] = SETTINGS) -> dict[str, Path]:
    """The same of SETTINGS, or of other files and folders."""
    return _checked(root, [name for place in places for name in _files(root, place)])


def may_be_shown(name: str) -> bool:
    """Whether a file is none that belongs to an editor, holds bytecode, or looks like a key."""
    *folders, file = name.split("/")
    is_key = _is_key(file) and not file.endswith(".py")
    return not is_key and not any(map(_is_left_out, (*folders, file)))


def id_of(root: Path) -> str:
    """12 hex digits that stand for the code of the project at `root`, or of a copy of it there."""
    content = hashlib.sha256()
    for name, path in code_files(root).items():
        one = os.fsencode(os.path.realpath(path)) if stays_link(path) else path.read_bytes()
        content.update(f"{name}\0{hashlib.sha256(one).hexdigest()}\0".encode(errors="surrogateescape"))
    return content.hexdigest()[:12]


def copy_code(root: Path, target: Path) -> None:
    copy_files(code_files(root), target)


def copy_files(files: Mapping[str, Path], target: Path) -> None:
    """ValueError, naming file and line, for what looks like a secret: without it the copy would be other code."""
    for name, path in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if stays_link(path):
            (target / name).symlink_to(os.path.realpath(path))
            continue
        content = path.read_bytes()
        if line := _line_with_secret(content, name):
            raise ValueError(
                f"{name}, line {line}: looks like a secret, which a copy of the code would hold; put it "
                "into an environment variable, and read it there"
            )
        (target / name).write_bytes(content)


def stays_link(path: Path) -> bool:
    """Of a file of `code_files`: it leads to a folder or a large file, which is data, and not a part of the code."""
    return path.is_symlink() and (path.is_dir() or path.stat().st_size > LARGEST)


def _files(root: Path, name: str) -> Iterator[str]:
    """The names of all that may be shown in a folder, or its own name if it is a file."""
    if os.path.isdir(root / name):
        yield from _below(root, name)
    elif os.path.isfile(root / name):
        yield name


def _below(root: Path, folder: str) -> Iterator[str]:
    for entry in os.scandir(root / folder):
        name = f"{folder}/{entry.name}"
        if _is_left_out(entry.name):
            continue
        if not os.path.isdir(entry.path):
            if may_be_shown(name) and os.path.isfile(entry.path):  # no link to nothing, and no socket
                yield name
        elif not entry.is_symlink():
            yield from _below(root, name)
        elif not _leads_to_code(root, entry.path):
            yield name
        elif not _leads_back(root, name):
            yield from _below(root, name)


def _leads_to_code(root: Path, link: str) -> bool:
    target = Path(link).resolve()
    inside = target.is_relative_to(root.resolve()) and target.relative_to(root.resolve()).parts[:1]
    return bool(inside and inside[0] in CODE) or _holds_python(target)


def _leads_back(root: Path, link: str) -> bool:
    return any((root / folder).resolve() == (root / link).resolve() for folder in Path(link).parents)


def _may_import(path: Path) -> bool:
    return _holds_python(path) if path.is_dir() else path.name.endswith(IMPORTED)


def _holds_python(folder: Path) -> bool:
    with suppress(OSError):
        return any(name.endswith(IMPORTED) for name in os.listdir(folder))
    return False


def _checked(root: Path, names: list[str]) -> dict[str, Path]:
    files = {name: root / name for name in sorted(names)}
    sizes = {name: path.stat().st_size for name, path in files.items() if not stays_link(path)}
    if sum(sizes.values()) > LARGEST:
        name = max(sizes, key=sizes.__getitem__)
        raise ValueError(
            f"{name}: has {sizes[name] / 1e6:.0f} MB, and all code may have {LARGEST / 1e6:.0f} MB, because runs and "
            "jobs keep copies of it; move it out of the code, and data into data/datasets"
        )
    return files


def _line_with_secret(content: bytes, name: str) -> int | None:
    if b"\0" in content:
        return None
    text = content.decode(errors="surrogateescape")
    shown = redact_file(text, name)
    pairs = zip(text.splitlines(), shown.splitlines(), strict=False)
    return next((n for n, (line, other) in enumerate(pairs, 1) if line != other), None) if shown != text else None
