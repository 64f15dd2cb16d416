"""What killed commands leave half written is removed by the next one that can be sure that they are gone."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from labkit.launching.snapshot import freeze
from labkit.runs.files import folder_beside, write_json
from small_runs import ROOT, SMALL, run_command, train_command_here, train_small

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
HOST = socket.gethostname()

KILLED = """
import os, signal, sys
from pathlib import Path
from labkit.runs.files import atomic_file, folder_beside
with (folder_beside if sys.argv[1] == "folder" else atomic_file)(Path(sys.argv[2])) as new:
    (new / "x").write_text("half") if sys.argv[1] == "folder" else (new.write(b"half"), new.flush())
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_it_wrote(kind: str, path: Path) -> Path:
    """Returns what it left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, kind, str(path)], cwd=ROOT, env=os.environ | {"PYTHONPATH": ""}
    )
    assert process.wait() == -signal.SIGKILL
    left = path.parent / f".{path.name}.{HOST}.{process.pid}.part"
    assert left.is_dir() == (kind == "folder")
    assert left.exists()
    return left


@pytest.fixture
def living() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, as one that writes here at the same time."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def write(folder: Path) -> None:
    write_json(folder / "other.json", {})


def make(folder: Path) -> None:
    with folder_beside(folder / "other"):
        pass


@pytest.mark.parametrize("then", [write, make])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_writer_in_a_folder_removes_it(kind: str, then: Callable[[Path], None], tmp_path: Path) -> None:
    left = killed_while_it_wrote(kind, tmp_path / "x.json")
    then(tmp_path)
    assert not left.exists()


def test_what_may_be_in_use_or_is_none_of_ours_stays(tmp_path: Path, living: subprocess.Popen[bytes]) -> None:
    gone = int(killed_while_it_wrote("file", tmp_path / "x.json").name.split(".")[-2])
    for name in (
        f".x.json.{HOST}.{living.pid}.part",
        f".x.json.elsewhere.{gone}.part",
        f".x.json.elsewhere.{HOST}x.{gone}.part",
        f"x.json.{HOST}.{gone}.part",
        ".mine.part",
    ):
        (tmp_path / name).touch()
        write(tmp_path)
        assert (tmp_path / name).exists()


def test_a_link_with_such_a_name_is_removed_and_not_followed(tmp_path: Path) -> None:
    left = killed_while_it_wrote("file", tmp_path / "x.json")
    left.unlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").touch()
    left.symlink_to(tmp_path / "mine")
    write(tmp_path)
    assert not left.is_symlink()
    assert (tmp_path / "mine" / "x").exists()


def test_every_command_removes_what_its_like_has_left(runs_dir: Path, tmp_path: Path) -> None:
    run = train_small(runs_dir)
    reports = tmp_path / "reports"
    left = {
        "report": killed_while_it_wrote("folder", reports / "default"),
        "evaluate": killed_while_it_wrote("file", run / "test.json"),
        "train": killed_while_it_wrote("file", run / "checkpoints" / "last.pt"),
        "sweep": killed_while_it_wrote("file", run.parent / ".sweeps" / "0123.json"),
        "submission": killed_while_it_wrote("folder", runs_dir / ".code" / "0123"),
    }
    of_another_host = run / ".config.yaml.elsewhere.1.part"  # only who holds the run's lock can be sure
    of_another_host.touch()
    assert run_command("runs/evaluate.py", f"runs_dir={runs_dir}").returncode == 0
    assert not left["evaluate"].exists()
    assert of_another_host.exists()
    assert run_command("runs/report.py", f"runs_dir={runs_dir}", f"reports_dir={reports}").returncode == 0
    freeze(runs_dir)
    (run / "run.json").unlink()
    assert train_command_here(*SMALL, f"system.runs_dir={runs_dir}").returncode == 0
    words = ("--multirun", "seed=0", *SMALL, f"system.runs_dir={runs_dir}")
    assert run_command("runs/train.py", *words).returncode == 0
    assert [name for name, path in left.items() if path.exists()] == []
    assert not of_another_host.exists()
    assert [path for folder in (runs_dir, reports) for path in folder.rglob("*.part")] == []
