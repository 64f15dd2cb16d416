"""Takes out of a bundle who made it and where: names, addresses, hosts, paths, remotes and commits."""

import hashlib
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from getpass import getuser
from pathlib import Path

from labkit.evidence.compare import Recorded
from labkit.runs.code_files import id_of
from labkit.runs.files import COPIES
from labkit.runs.provenance import ROOT, run_git

AUTHOR = "Anonymous"
NAMING = ("LICENSE", "CITATION.cff", "README.md", "pyproject.toml")  # where a single word may be a name
Change = tuple[str, str | Callable[[re.Match[str]], str]]  # a pattern, and what takes its place


def hide_names(root: Path, ended: list[Recorded]) -> None:
    """Rewrites every text file below `root`. Code that changes has another id, by which its runs then call it."""
    people = {name for name in _people() if len(re.findall(r"[^\W\d]", name)) > 2}
    phrases = {name for name in people if re.search(r"\W", name)}
    _rewrite(root.rglob("*"), [*_places(ended), (_any(phrases), AUTHOR)])
    _rewrite((root / name for name in NAMING), [(_any(people - phrases), AUTHOR)])
    ids = {id_of(ROOT): id_of(root)}
    for copy in (root / "data" / "runs" / COPIES).glob("*"):
        ids[copy.name] = id_of(copy)
        copy.rename(copy.with_name(ids[copy.name]))
    for diff in root.glob("data/runs/*/*/code-*.diff"):
        diff.unlink()  # of a commit that is not there; the code itself is
    _rewrite((root / "data").rglob("*"), [(_any(ids), lambda found: ids[found[0]])])


def _people() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from (text for author in project.get("authors", []) for text in author.values())
    for words in (["log", "--format=%an%n%ae%n%cn%n%ce"], ["config", "user.name"], ["config", "user.email"]):
        with suppress(OSError, subprocess.CalledProcessError):
            yield from run_git(*words).decode(errors="replace").splitlines()


def _places(ended: list[Recorded]) -> list[Change]:
    launches = [launch for run in ended for launch in run.launches]
    system = [Path(run.config["system"][key]) for run in ended for key in ("runs_dir", "datasets_dir")]
    paths = [str(path) for path in (ROOT, Path.home(), *system) if path.is_absolute() and len(path.parts) > 1]
    remotes = {launch["git"].get("remote") or "" for launch in launches} - {""}
    names = {match[0] for remote in remotes if (match := re.search(r"[^/:]+/[^/:]+?(?=(\.git)?/?$)", remote))}
    commits = {launch["git"]["commit"] or "" for launch in launches} - {""}
    return [
        (rf"(?<![\w.]){_any(paths)}", "/anonymous"),
        (r"(/home/|/Users/|\\Users\\+)[\w.-]+", r"\1anonymous"),
        (rf"(?<=/){re.escape(getuser())}(?=/)", "anonymous"),
        (_any(remotes | names), "anonymous"),
        (_any(commits), lambda found: hashlib.sha256(found[0].encode()).hexdigest()[:40]),
        (r'("(?:host|SLURM_JOB_NODELIST)": )"[^"]*"', r'\1"anonymous"'),
        (_any(f"on {launch['host']}" for launch in launches), "on anonymous"),
    ]


def _any(words: Iterable[str]) -> str:
    """The longest first, and no part of a longer word; what matches nothing where there are none."""
    return rf"(?:{'|'.join(map(re.escape, sorted(words, key=len, reverse=True))) or '(?!)'})(?!\w)"


def _rewrite(paths: Iterable[Path], changes: list[Change]) -> None:
    for path in paths:
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b"\0"
        if b"\0" not in content:
            text = content.decode(errors="surrogateescape")
            for pattern, instead in changes:
                text = re.sub(pattern, instead, text)
            path.write_bytes(text.encode(errors="surrogateescape"))
