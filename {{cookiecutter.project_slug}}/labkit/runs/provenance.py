"""What ran, where and on what. It is captured once per process, without torch and without the environment's secrets."""

import functools
import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from labkit.runs.code_files import CODE, SETTINGS, code_files, id_of, may_be_shown, settings_files
from labkit.secrets import redact_file

ROOT = Path(__file__).resolve().parents[2]
# The first line of a diff from which something was taken; git ignores it.
INCOMPLETE = b"# This patch does not give the code back: what looked like a secret in it is ***.\n"
ALLOWED_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"),
    *("SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_JOB_NODELIST"),
)


def launch_record(command: str, started: str) -> dict[str, Any]:
    """One entry of run.json's "launches", without what only torch knows (threads, GPU, driver)."""
    argv = _submitted().get("argv", sys.argv)
    return {"started": started, "argv": argv, "command": command, "host": socket.gethostname()} | _of_this_process()


@functools.cache
def _submitted() -> dict[str, Any]:
    """In a Slurm job, what was true when it was submitted: git knows nothing of the copy of the code that it runs."""
    name = os.environ.get("SUBMITTED_AS")
    return json.loads(Path(name).read_text(encoding="utf-8")) if name else {}


def study_files() -> dict[str, str]:
    """{study: digest of its file in studies/}, which shows later whether the file was there before the runs."""
    return _submitted().get("study_files") or {
        path.stem: digest(path.read_bytes()) for path in sorted((ROOT / "studies").glob("[!.]*.yaml"))
    }


@functools.cache
def code_id() -> str:
    """12 hex digits that stand for the code of this project, committed or not. ValueError where the code, or what lies
    beside it and a diff would show, is too large."""
    settings_files(ROOT)
    return id_of(ROOT)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


@functools.cache
def code_diff() -> bytes | None:
    """The patch that turns the commit into this code and configuration, untracked files included, without secrets: it
    begins with INCOMPLETE where it held one.

    None if there is no commit, git does not trust the folder, or nothing has changed.
    """
    if submitted := _submitted():
        return submitted["diff"] and submitted["diff"].encode(errors="surrogateescape")
    if git_state()["dirty"] is None or not (names := _changed_files()):
        return None
    plain = ["--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"]
    paths = [f":(literal){name}" for name in names]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        shutil.copyfile(ROOT / run_git("rev-parse", "--git-path", "index").decode().strip(), index)
        variables = os.environ | {"GIT_INDEX_FILE": str(index)}
        there = [path for path, name in zip(paths, names, strict=True) if os.path.lexists(ROOT / name)]
        run_git("add", "--intent-to-add", "--", *there, env=variables)  # untracked files, in the copy of the index only
        diff = run_git("diff", "--binary", "--relative", *plain, "HEAD", "--", *paths, env=variables)
    files = re.split(rb"^(?=diff --git )", diff, flags=re.MULTILINE)
    shown = b"".join(map(_redacted, files))
    return shown if shown == diff else INCOMPLETE + shown


def _redacted(file: bytes) -> bytes:
    """The part of a diff that is about one file."""
    if b"\nGIT binary patch\n" in file:
        return file
    name = file.partition(b"\n")[0].decode(errors="surrogateescape").rstrip('"')
    return redact_file(file.decode(errors="surrogateescape"), name).encode(errors="surrogateescape")


@functools.cache
def _changed_files() -> list[str]:
    """The names of those that differ from the commit, or are not in it, and may be shown."""
    here = sorted({*(name.partition("/")[0] for name in code_files(ROOT)), *SETTINGS, *CODE})
    here = [name for name in here if (ROOT / name).exists()]
    changed = run_git("diff", "--name-only", "-z", "--relative", "HEAD", "--", *here)
    untracked = run_git("ls-files", "--others", "--exclude-standard", "-z", "--", *here)
    names = (changed + untracked).decode(errors="surrogateescape").split("\0")
    return sorted(name for name in set(names) if name.rpartition("/")[2] and may_be_shown(name))


@functools.cache
def _of_this_process() -> dict[str, Any]:
    about = [distribution.metadata for distribution in metadata.distributions()]  # parsed anew at each access
    return {
        "code_id": code_id(),
        "git": git_state(),
        "packages": {package["Name"]: package["Version"] for package in sorted(about, key=lambda p: p["Name"].lower())},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "variables": {name: os.environ[name] for name in ALLOWED_VARIABLES if name in os.environ},
    }


@functools.cache
def git_state() -> dict[str, Any]:
    """{"commit", "dirty", "remote", "missing"}; `missing` says in a sentence why there is no commit."""
    if submitted := _submitted():
        return submitted["git"]
    nothing = {"commit": None, "dirty": None, "remote": None}
    try:
        if not run_git("ls-files", "--cached", "--others", "--exclude-standard", "--", "runs/train.py"):
            return nothing | {"missing": "a git repository around this project ignores it: run git init here"}
        commit = run_git("rev-parse", "HEAD").decode().strip()
        dirty = bool(_changed_files())
    except FileNotFoundError:
        return nothing | {"missing": "git is not installed: no commit and no changes are recorded"}
    except subprocess.CalledProcessError as error:
        if b"dubious ownership" in error.stderr:
            return nothing | _of_another_owner()
        return nothing | {"missing": "no git repository with a commit: run git init and commit"}
    remotes = subprocess.run(["git", "remote", "get-url", "origin"], cwd=ROOT, capture_output=True, text=True)
    remote = re.sub(r"//[^/]*@|[?#].*", lambda m: "//" if m[0][0] == "/" else "", remotes.stdout.strip()) or None
    return {"commit": commit, "dirty": dirty, "remote": remote, "missing": None}


def _of_another_owner() -> dict[str, Any]:
    """As in a container with a mounted folder. Reading which commit is checked out runs nothing that the owner's
    settings name; to ask what has changed since would."""
    missing = f"git does not trust this folder of another user: git config --global --add safe.directory {ROOT}"
    try:
        return {"commit": run_git("-c", "safe.directory=*", "rev-parse", "HEAD").decode().strip(), "missing": missing}
    except subprocess.CalledProcessError:
        return {"missing": missing}


def proof_of_study_file(path: Path, records: list[dict[str, Any]]) -> tuple[str, str]:
    """Whether the study's file was committed before its runs and is the same now: a sentence that proves it, and one on
    what is missing; one of them is empty.

    Git is the witness: the commit that a run names holds the file, and so do all later ones.
    """
    now = digest(path.read_bytes())
    launches = [record["launches"][0] for record in records]
    other = sum(launch.get("study_file") != now for launch in launches)
    if other:
        return "", f"{path.name} was written or changed after {other} of {len(launches)} runs had begun"
    commits = sorted({str(launch["git"]["commit"]) for launch in launches})
    for commit in commits:
        try:
            held = run_git("show", f"{commit}:./{path.name}", at=path.parent)
        except (subprocess.CalledProcessError, OSError):
            return "", f"commit {path.name} before the first run: commit {commit[:12]} does not hold it, or is not here"
        if digest(held) != now:
            return "", f"{path.name} is not what commit {commit[:12]} holds, from which runs were started"
    return f"{path.name} stands unchanged in every commit from which a run was started: {', '.join(commits)}", ""


def run_git(*arguments: str, at: Path = ROOT, env: dict[str, str] | None = None) -> bytes:
    return subprocess.run(["git", *arguments], cwd=at, env=env, capture_output=True, check=True).stdout


def gpu_driver() -> str | None:
    """The version of the NVIDIA driver, if Linux says."""
    try:
        about = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return None
    version = re.search(r"\d+\.\d+(\.\d+)?", about)
    return version and version[0]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
