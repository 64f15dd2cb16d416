"""The watch mode of runs/status.py: on a terminal, in a pipe, and when it ends."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest
from labkit.runs import status as module
from labkit.runs.status import KEPT_LONGEST, ORDER, Line, StatusConfig, cut, status
from run_folders import add_plan, add_unfinished, change_state

ROOT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "depth"


def test_too_small_a_terminal_shows_what_runs_and_what_went_wrong() -> None:
    lines = [Line("heading", "depth"), *(Line(kind, f"  {kind} {n}") for kind in ORDER for n in range(5))]
    lines.append(Line("total", "depth: 5 of 50 finished"))
    assert cut(lines, len(lines)) == [line.text for line in lines]
    note, *shown = cut(lines, 9)
    assert note.startswith("not shown: 3 refused, 5 failed, 5 unreadable, 5 diverged, 5 out of memory, 5 dead, ")
    assert note.endswith(", 5 missing, 5 duplicate, 5 pruned, 5 finished")
    assert shown == [*(f"  running {n}" for n in range(5)), "  refused 0", "  refused 1", "depth: 5 of 50 finished"]
    assert set(KEPT_LONGEST) == {*ORDER, "total", "heading", "warning"}


def test_watch_without_a_terminal_says_a_line_per_change_until_nothing_moves(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.01)
    folders = [add_unfinished(study, status, "net5", seed) for seed, status in enumerate(("running", "interrupted"))]
    said = io.StringIO()
    watch = threading.Thread(
        target=status,
        args=[StatusConfig(study.name, watch=True, logs=False, cancel=False, runs_dir=str(study.parent))],
        daemon=True,
    )
    with redirect_stdout(said):
        watch.start()
        _wait_for("0 of 2 finished, 1 interrupted, 1 running; 5000 examples/s, about 2 min left\n", said)
        change_state(folders[0], status="failed")
        _wait_for("0 of 2 finished, 1 failed, 1 interrupted\n", said)  # may be started again
        change_state(folders[1], status="running", step=54)
        _wait_for("0 of 2 finished, 1 failed, 1 running; 5000 examples/s, about 2 min left\n", said)
        change_state(folders[1], status="diverged")
        watch.join(10)
    assert said.getvalue().endswith("depth: 0 of 2 finished, 1 diverged, 1 failed\n")
    assert said.getvalue().count("\n") == 4


def test_watch_of_a_sweep_that_does_not_go_on_ends(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.01)
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    add_plan(study, {"name": "a"})
    status(StatusConfig(study.name, watch=True, logs=False, cancel=False, runs_dir=str(study.parent)))
    counts, end = capsys.readouterr().out.splitlines()
    assert counts.endswith("depth: 0 of 1 finished, 1 missing")
    assert end.startswith("nothing has run for 0.")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminal")
def test_watch_on_a_terminal_redraws_until_ctrl_c(study: Path) -> None:
    import pty

    folder = add_unfinished(study, "running", "net5")
    code = """if True:
        import labkit.runs.status as module
        from labkit.launching.main import main
        module.INTERVAL_S = 0.01
        main("status", lambda: (module.StatusConfig, module.status))"""
    main, terminal = pty.openpty()
    watch = subprocess.Popen(
        [sys.executable, "-c", code, "study=depth", "watch=true", f"runs_dir={study.parent}"],
        **{"cwd": ROOT, "stdin": terminal, "stdout": terminal, "stderr": terminal},
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "20"},
    )
    os.close(terminal)
    seen = _read(main, "step 36 of 90")
    change_state(folder, step=54)
    seen += _read(main, "step 54 of 90")
    watch.send_signal(signal.SIGINT)
    seen += _read(main, None)
    assert watch.wait() == 130
    assert "Traceback" not in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")  # the cursor is there again
    os.close(main)


def _wait_for(line: str, said: io.StringIO) -> None:
    deadline = time.monotonic() + 10
    while line not in said.getvalue():
        assert time.monotonic() < deadline, said.getvalue()
        time.sleep(0.005)


def _read(terminal: int, end: str | None) -> str:
    """What comes until `end` has; None: until the other side is closed."""
    seen = ""
    with suppress(OSError):  # how Linux says that it is closed
        while (end is None or end not in seen) and (more := os.read(terminal, 10000)):
            seen += more.decode()
    return seen
