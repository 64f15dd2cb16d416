"""The code that a run ran, put into a folder of its own; working tree, index and branches stay as they are."""

import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from labkit.runs.code_files import copy_code, id_of
from labkit.runs.files import COPIES, own_place
from labkit.runs.provenance import INCOMPLETE, ROOT, run_git


def restore_code(run: Path, launch: dict[str, Any], target: Path) -> None:
    """Fills the empty folder `target` from the copy that Slurm jobs ran, from git, or from the code that is here, if
    that is the same. ValueError where none of them is what ran."""
    wanted = launch["code_id"]
    copy = own_place(run.absolute().parents[1] / COPIES) / wanted
    if copy.is_dir() and id_of(copy) == wanted:
        copy_code(copy, target)
        return
    missing = _from_git(run, launch["git"]["commit"], launch["diff"], target)
    if not missing and id_of(target) != wanted:
        raise ValueError(f"{run}: the code that ran cannot be restored: git ignores a part of it, or it has changed")
    if missing and id_of(ROOT) != wanted:
        raise ValueError(f"{run}: the code that ran cannot be restored: {missing}")
    if missing:
        copy_code(ROOT, target)


def _from_git(run: Path, commit: str | None, diff: str | None, target: Path) -> str:
    """What keeps git from giving it back; "" if nothing does."""
    if commit is None:
        return f"the run names no commit, and no copy of the code is in {COPIES}"
    if diff and not (run / diff).exists():
        return f"{diff} is missing"
    if diff and (run / diff).read_bytes().startswith(INCOMPLETE):
        return f"{diff} leaves out what looked like a secret, and no copy of the code is in {COPIES}"
    packed = target.with_name("code.tar")
    try:
        run_git("archive", "--output", str(packed.absolute()), commit)
        with tarfile.open(packed) as archive:
            archive.extractall(target, filter="tar")
        if diff:  # in a repository around the folder, git would apply nothing and say nothing
            alone = os.environ | {"GIT_CEILING_DIRECTORIES": str(target.resolve().parent)}
            run_git("apply", "--whitespace=nowarn", str((run / diff).absolute()), at=target, env=alone)
    except FileNotFoundError:
        return "git is not installed"
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").splitlines()[:1]
        return f"git does not give back commit {commit[:12]} ({''.join(said)})"
    return ""
