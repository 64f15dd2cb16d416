"""The code as it is now, put aside for jobs that start later: what is edited meanwhile changes nothing for them."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

from labkit.runs import provenance
from labkit.runs.files import atomic_file
from labkit.runs.provenance import CODE, ROOT


def freeze(runs_dir: Path) -> Path:
    """<runs_dir>/.code/<code_id>/, shared by all jobs of the same code; in it, what git says of it in a file that
    `SUBMITTED_AS` is to name in the jobs. Returns that file. ValueError where the code changes while it is copied."""
    code = runs_dir.absolute() / ".code" / provenance.code_id()
    if not code.exists():
        _copy(code)
    diff = provenance.code_diff()
    about = {"argv": sys.argv, "git": provenance.git_state(), "diff": diff and diff.decode(errors="surrogateescape")}
    content = json.dumps(about | {"study_files": provenance.study_files()}).encode()
    submitted = code / f"submitted-{provenance.digest(content)}.json"
    with atomic_file(submitted) as file:
        file.write(content)
    submitted.chmod(0o600)  # the changes to the code, before what looks like a secret was taken out of them
    return submitted


def _copy(code: Path) -> None:
    beside = code.with_name(f".{code.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        for folder in CODE:
            shutil.copytree(ROOT / folder, beside / folder, ignore=shutil.ignore_patterns("__pycache__"))
        if provenance.id_of(beside) != code.name:
            raise ValueError(f"{ROOT}: the code was changed while it was copied for the jobs; submit again")
        beside.rename(code)
    except OSError:
        if not code.exists():  # unless another process was quicker
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
