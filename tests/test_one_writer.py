"""One writer: of processes that want a run folder at the same instant exactly one gets it, the others are told who has
it; a dead holder is taken over, a living one never, whatever the clocks say."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from baking import Bake
from faults import unshared

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
ROUNDS, FOLDERS = 12, 5  # rounds one after the other in each of so many folders at once
HERE = socket.gethostname()
RENAMED = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


class Contender:
    """A process that wants a folder; see one_writer.py."""

    def __init__(self, project: Path, folder: Path, host: str | None = None, clock_off_s: int = 0) -> None:
        self.folder, self.marks = folder, folder.parent / "marks"
        self.marks.mkdir(exist_ok=True)
        renamed = [*unshared("-u"), sys.executable, "-c", RENAMED, host] if host else []
        script = Path(__file__).with_name("one_writer.py")
        words = [*renamed, sys.executable, script, folder, self.marks, *([str(clock_off_s)] if clock_off_s else [])]
        self.process = subprocess.Popen(
            words, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.pid, self.host = self.process.pid, host or HERE

    @property
    def refusal(self) -> str:
        """What the others are told while this one holds the folder."""
        return f"{self.folder}: process {self.pid} on {self.host} is writing this run; wait for it or stop it"

    @property
    def refusals(self) -> set[str]:
        """The same, also before it has said who it is, and while another one tries to take the place of a dead one."""
        return {self.refusal, self.refusal.replace(f"process {self.pid} on {self.host}", "another process")}

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def tell(self, line: object = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        (self.marks / self.folder.name).unlink(missing_ok=True)


@contextmanager
def contenders(*given: Contender) -> Iterator[tuple[Contender, ...]]:
    """All of them let loose at the same instant; none of them is left behind."""
    try:
        assert [one.hears() for one in given] == ["ready"] * len(given)
        begin = time.monotonic() + 0.02
        for one in given:
            one.tell(begin)
        yield given
    finally:
        for one in given:
            one.process.kill()
            one.process.communicate()


def split(given: tuple[Contender, ...]) -> tuple[Contender, float, list[str]]:
    """The one that holds the folder, the seconds it took, and what the others were told."""
    answers = {one: one.hears() for one in given}
    held = [one for one, answer in answers.items() if answer.startswith("held after ")]
    assert len(held) == 1, answers
    return (
        held[0],
        float(answers[held[0]].split()[2]),
        [answer for one, answer in answers.items() if one is not held[0]],
    )


@pytest.fixture(scope="module")
def project(bake: Bake) -> Path:
    return bake()


@pytest.fixture(scope="module")
def elsewhere(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Contender, ...]]]:
    """What has to wait for a lease of 30 s begins together: first the holder of each folder, then who wants it."""
    root = tmp_path_factory.mktemp("elsewhere")
    with ExitStack() as stack:

        def begin(*given: Contender) -> tuple[Contender, ...]:
            return stack.enter_context(contenders(*given))

        (dead,) = begin(Contender(project, root / "dead", host="elsewhere"))
        (alive,) = begin(Contender(project, root / "alive", host="elsewhere", clock_off_s=-6 * 3600))
        (asleep,) = begin(Contender(project, root / "asleep"))
        for holder in (dead, alive, asleep):
            assert holder.hears().startswith("held")
        dead.kill()
        os.kill(asleep.pid, signal.SIGSTOP)
        (asleep.marks / asleep.folder.name).unlink()
        yield {
            "dead": (dead, *begin(*[Contender(project, dead.folder) for _ in range(3)])),
            "alive": (alive, *begin(*[Contender(project, alive.folder, clock_off_s=s) for s in (0, 6 * 3600)])),
            "asleep": (asleep, *begin(Contender(project, asleep.folder, host="elsewhere"))),
        }


def test_one_of_those_that_start_at_the_same_instant(
    project: Path, elsewhere: dict[str, tuple[Contender, ...]], tmp_path: Path
) -> None:
    """60 rounds, in every second one of which the holder is killed while it holds the folder."""
    folders = [tmp_path / str(number) for number in range(FOLDERS)]
    for number in range(ROUNDS):
        given = [Contender(project, folder) for folder in folders for _ in range(2 + number % 3 % 2)]
        with contenders(*given):
            for folder in folders:
                here = tuple(one for one in given if one.folder == folder)
                holder, seconds, others = split(here)
                assert seconds < 15  # at once: to wait for the lease of one that is killed takes 30 s
                assert len(others) == len(here) - 1
                assert set(others) <= holder.refusals
                if number % 2:
                    holder.kill()
                else:
                    holder.tell()
                    assert holder.hears() == "released"


def test_whoever_tries_to_take_a_folder_over_is_not_called_its_holder(project: Path, tmp_path: Path) -> None:
    """filelock puts what names that process in the place of what names the holder, and back when that one is alive."""
    with contenders(Contender(project, tmp_path / "run")) as (holder,):
        assert holder.hears().startswith("held")
        (aside := holder.folder / ".lock.break.1.0").touch()
        with contenders(Contender(project, holder.folder)) as (other,):
            assert other.hears() == f"{holder.folder}: another process is writing this run; wait for it or stop it"
        aside.unlink()
        holder.tell()
        assert holder.hears() == "released"


def test_a_living_holder_elsewhere_is_never_taken_over(elsewhere: dict[str, tuple[Contender, ...]]) -> None:
    """Its clock is six hours behind, the clock of one of those that want the folder six hours ahead."""
    holder, *others = elsewhere["alive"]
    assert [one.hears() for one in others] == [holder.refusal] * 2
    holder.tell()
    assert holder.hears() == "released"


def test_a_holder_killed_elsewhere_is_taken_over_by_one_after_a_lease(
    elsewhere: dict[str, tuple[Contender, ...]],
) -> None:
    holder, seconds, others = split(elsewhere["dead"][1:])
    assert 25 < seconds < 40
    assert len(others) == 2
    assert set(others) <= holder.refusals


def test_a_holder_that_was_suspended_for_longer_than_a_lease_learns_it(
    elsewhere: dict[str, tuple[Contender, ...]],
) -> None:
    asleep, other = elsewhere["asleep"]
    assert other.hears().startswith("held after ")
    os.kill(asleep.pid, signal.SIGCONT)
    asleep.tell()
    assert "this process has lost its lock, and ends: it was suspended" in asleep.hears()
    other.tell()
    assert other.hears() == "released"
