"""The fault table, F11, F12 and F26: files that are damaged or missing. What cannot be used is named in one line, and
the run ends with the bits of one that was left alone."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from faults import EVERY_STEP, KILLED, SETTING, Project
from outcomes import differences, resumed_at, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
pytest_plugins = ["fault_fixtures"]


@pytest.fixture(scope="module")
def killed(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a run that was killed when it had saved step 39; not to be changed."""
    runs_dir = tmp_path_factory.mktemp("killed")
    words = (*SETTING, EVERY_STEP, f"system.runs_dir={runs_dir}")
    ended = project.run(*words, fault=("kill", [("write", r"last\.pt", 40)]))
    assert (ended.status, ended.err) == (KILLED, "")
    return runs_dir


def flip_a_bit(path: Path) -> None:
    """In the middle of the largest tensor: between two of them nothing is lost."""
    with zipfile.ZipFile(path) as archive:
        tensor = max((archive.read(part) for part in archive.namelist() if "/data/" in part), key=len)
    content = bytearray(path.read_bytes())
    content[content.index(tensor) + len(tensor) // 2] ^= 1
    path.write_bytes(content)


def flip_a_name(path: Path) -> None:
    """A letter in the list of the tensors' names becomes no letter."""
    flip(path, after_start_of_list=46, bit=128)


def flip_a_kind(path: Path) -> None:
    """A tensor is listed as a folder, which some readers then take for one."""
    flip(path, after_start_of_list=38, bit=16)


def flip(path: Path, after_start_of_list: int, bit: int) -> None:
    with zipfile.ZipFile(path) as archive:
        at = archive.start_dir + after_start_of_list
    content = bytearray(path.read_bytes())
    content[at] ^= bit
    path.write_bytes(content)


def zero_a_page(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(4096) + content[12288:])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_text("not what you think\n", encoding="utf-8")


def tear_a_row(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"39,5.57142")


def edit_a_row(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n8,", b"\n9,", 1))


def hold_only_a_format(path: Path) -> None:
    torch.save({"format": 2}, path)


def lose(part: str) -> Callable[[Path], None]:
    def without(path: Path) -> None:
        saved = torch.load(path, weights_only=True)
        del saved[part]
        torch.save(saved, path)

    return without


def hold(text: str) -> Callable[[Path], None]:
    def overwrite(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return overwrite


class Bomb:
    """What unpickling it would do."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def plant_a_bomb(path: Path) -> None:
    torch.save({"format": 2, "network": Bomb(path.with_name("exploded"))}, path)


class Damage(NamedTuple):
    """What is done to which files, what the one warning names, and the step at which the run then goes on."""

    do: Callable[[Path], None]
    files: tuple[str, ...]
    named: str | None
    step: int | None


LAST, PREVIOUS, BEST = (f"checkpoints/{name}.pt" for name in ("last", "previous", "best"))
DAMAGED = {
    "F11a newest checkpoint with a flipped bit": Damage(flip_a_bit, (LAST,), LAST, 38),
    "F11b newest checkpoint with a zeroed page": Damage(zero_a_page, (LAST,), LAST, 38),
    "F11c newest checkpoint truncated": Damage(cut, (LAST,), LAST, 38),
    "F11d newest checkpoint emptied": Damage(empty, (LAST,), LAST, 38),
    "F11e newest checkpoint overwritten": Damage(overwrite, (LAST,), LAST, 38),
    "F11f newest checkpoint deleted": Damage(Path.unlink, (LAST,), None, 38),
    "F11g checkpoint before damaged, newest whole": Damage(cut, (PREVIOUS,), None, 39),
    "F11h best weights with a flipped bit": Damage(flip_a_bit, (BEST,), BEST, None),
    "F11i best weights deleted": Damage(Path.unlink, (BEST,), BEST, None),
    "F11j newest checkpoint with a flipped bit in a name": Damage(flip_a_name, (LAST,), LAST, 38),
    "F11k newest checkpoint with a flipped bit in a kind": Damage(flip_a_kind, (LAST,), LAST, 38),
    "F11m newest checkpoint of another format": Damage(hold_only_a_format, (LAST,), LAST, 38),
    "F11n newest checkpoint without its rows": Damage(lose("rows"), (LAST,), LAST, 38),
    "F11o best weights without weights": Damage(lose("network"), (BEST,), BEST, None),
    "F12a all checkpoints truncated": Damage(cut, (LAST, PREVIOUS, BEST), LAST, None),
    "F12b folder of the checkpoints deleted": Damage(shutil.rmtree, ("checkpoints",), None, None),
    "F24a pickle bomb as newest checkpoint": Damage(plant_a_bomb, (LAST,), LAST, 38),
    "F26a torn row at the end of metrics.csv": Damage(tear_a_row, ("metrics.csv",), None, 39),
    "F26b metrics.csv truncated": Damage(cut, ("metrics.csv",), "metrics.csv", None),
    "F26c a row of metrics.csv edited": Damage(edit_a_row, ("metrics.csv",), "metrics.csv", None),
    "F26d metrics.csv deleted": Damage(Path.unlink, ("metrics.csv",), "metrics.csv", None),
    "F26e state.json torn": Damage(cut, ("state.json",), None, 39),
    "F26i provenance.json with an empty launch": Damage(hold("[{}]"), ("provenance.json",), None, 39),
    "F26j state.json of another shape": Damage(hold('{"status": 5}'), ("state.json",), None, 39),
    "F26f provenance.json torn": Damage(cut, ("provenance.json",), None, 39),
}


@pytest.mark.parametrize("row", DAMAGED)
def test_damaged(row: str, project: Project, undisturbed: Callable[..., Path], killed: Path, tmp_path: Path) -> None:
    damage = DAMAGED[row]
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    folder = the_run(tmp_path)
    for name in damage.files:
        damage.do(folder / name)
    ended = project.run(*SETTING, f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err) == (0, "")
    assert all(f"{folder / damage.named}: " in line for line in ended.warnings[:1] if damage.named)
    assert bool(ended.warnings) == bool(damage.named)
    assert resumed_at(folder) == [damage.step] * (damage.step is not None)
    assert ("starts again from step 0" in ended.out) == (damage.step is None and damage.named is not None)
    assert differences(folder, undisturbed(*SETTING)) == []
    assert not list(folder.rglob("exploded"))


def test_f11l_a_foreign_checkpoint(
    project: Project, undisturbed: Callable[..., Path], killed: Path, tmp_path: Path
) -> None:
    """F11l newest checkpoint whole, but of another run."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    folder = the_run(tmp_path)
    shutil.copy(undisturbed(*SETTING, "seed=1") / LAST, folder / LAST)
    ended = project.run(*SETTING, f"system.runs_dir={tmp_path}")
    (warning,) = ended.warnings
    assert f"{folder / LAST}: " in warning
    assert "belongs to another run" in warning
    assert resumed_at(folder) == [38]
    assert differences(folder, undisturbed(*SETTING)) == []


@pytest.mark.parametrize("damage", [cut, overwrite])
def test_f26g_a_torn_configuration(
    damage: Callable[[Path], None], project: Project, killed: Path, tmp_path: Path
) -> None:
    """F26g config.yaml of an unfinished run torn: gone on with, or refused in a sentence that names it."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    folder = the_run(tmp_path)
    damage(folder / "config.yaml")
    ended = project.run(*SETTING, f"system.runs_dir={tmp_path}")
    assert ended.status == 0 or str(folder) in ended.sentence


def test_f26h_a_torn_result(project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    """F26h run.json of a finished run torn: named by status.py, written again by the same command."""
    shutil.copytree(undisturbed(*SETTING).parents[1], tmp_path, dirs_exist_ok=True)
    folder = the_run(tmp_path)
    cut(folder / "run.json")
    told = project.run(f"runs_dir={tmp_path}", script="status")
    assert told.status == 0
    assert "run.json is half-written or damaged" in told.out
    ended = project.run(*SETTING, f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert differences(folder, undisturbed(*SETTING)) == []
