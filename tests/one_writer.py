"""One of several processes that want a run folder at the same instant; test_one_writer.py starts it in a project.

    python one_writer.py <run folder> <folder for marks> [seconds that its clock is off]

Says "ready" and waits for a line: the instant, of the monotonic clock, at which all begin. Says "held" and keeps
the folder until the next line, or says why it could not have it.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, os.getcwd())
from labkit.runs.folder import RunFolder  # pyright: ignore[reportMissingImports]


def main(folder: Path, marks: Path) -> None:
    print("ready", flush=True)
    begin = float(sys.stdin.readline())
    while time.monotonic() < begin:
        pass
    try:
        run = RunFolder(folder)
        with run.locked():
            own = os.open(marks / folder.name, os.O_CREAT | os.O_EXCL)  # fails if another one is in here as well
            print(f"held after {time.monotonic() - begin:.2f} s", flush=True)
            sys.stdin.readline()
            run.check_lock()
            os.close(own)
            (marks / folder.name).unlink()
        print("released", flush=True)
    except ValueError as refusal:
        print(refusal, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        right = time.time
        time.time = lambda: right() + float(sys.argv[3])
    main(Path(sys.argv[1]), Path(sys.argv[2]))
