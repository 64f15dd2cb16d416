"""The code as it is now, put aside for jobs that start later: what is edited meanwhile changes nothing for them."""

import json
import shutil
import sys
from pathlib import Path

from labkit.runs import provenance
from labkit.runs.code_files import copy_code, id_of
from labkit.runs.files import COPIES, atomic_file, folder_beside, private_folder
from labkit.runs.provenance import ROOT

SUBMITTED = "submitted-*.json"


def freeze(runs_dir: Path) -> Path:
    """<runs_dir>/.code/<code_id>/, shared by all jobs of the same code; in it, what git says of it in a file that
    `SUBMITTED_AS` is to name in the jobs. Returns that file. ValueError where the code changes while it is copied, or
    holds a secret."""
    copies = private_folder(runs_dir.absolute() / COPIES)
    code = copies / provenance.code_id()
    if not _is_whole(code):
        _copy(code)
    diff = provenance.code_diff()
    about = {"argv": sys.argv, "git": provenance.git_state(), "diff": diff and diff.decode(errors="surrogateescape")}
    content = json.dumps(about | {"study_files": provenance.study_files()}).encode()
    submitted = code / SUBMITTED.replace("*", provenance.digest(content))
    with atomic_file(submitted) as file:
        file.write(content)
    return submitted


def _is_whole(code: Path) -> bool:
    """Whether the copy is still what its name says: a file that was changed or lost would make other results."""
    return code.is_dir() and id_of(code) == code.name


def _copy(code: Path) -> None:
    """Jobs that were submitted with a copy which is no longer whole get this one in its place."""
    with folder_beside(code) as new, folder_beside(code.with_name(f"{code.name}-old")) as old:
        copy_code(ROOT, new)
        if id_of(new) != code.name:
            raise ValueError(f"{ROOT}: the code was changed while it was copied for the jobs; submit again")
        for submitted in code.glob(SUBMITTED):
            shutil.copyfile(submitted, new / submitted.name)
        try:
            if code.exists():
                code.rename(old / code.name)
            new.rename(code)
        except OSError:
            if not _is_whole(code):  # unless another process was quicker
                raise
