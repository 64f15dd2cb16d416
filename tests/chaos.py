"""`make chaos`: a sweep that is killed, starved and damaged all the time ends with the bits of one that was left alone.

    python tests/chaos.py [--runs 30] [--faults 48] [--seed 0] [--project FOLDER]

A companion with a seeded random generator kills processes of the sweep, fills its disk, damages files of runs that no
process is writing, and starts the same sweep a second time; the same command is given again whenever it has ended.
"""

import argparse
import itertools
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals, signal

import pytest
from baking import TEMPLATE, cookiecutter
from faults import Disk, wait
from launches import Launch, send
from outcomes import differences

TOO_LONG_S = 900
CALM_S = 15  # so long what a launcher has started may outlive it
SETTING = (
    *("data=synthetic", "data.examples=400", "data.classes=4", "data.input_shape=[1,4,4]", "data.max_shift=1"),
    *("model.channels=2", "model.hidden_width=8", "model.dropout=0.1", "training.ema_decay=0.9"),
    *("training.epochs=null", "training.steps=600", "training.batch_size=8"),
    *("training.evaluate_every_epochs=null", "training.evaluate_every_steps=60"),
    *("system.checkpoint_minutes=0.002", "system.loader_workers=1", "system.device=cpu", "system.threads=1"),
    *("+launcher=joblib", "hydra.launcher.n_jobs=2"),
)


class Chaos:
    """A sweep in `root`, and its companion."""

    def __init__(self, project: Path, words: list[str], root: Path, disk: Disk, seed: int) -> None:
        sys.path.insert(0, str(project))
        self.project, self.root, self.disk = project, root, disk
        self.runs_dir = disk.path / "runs"
        self.words = [*words, f"system.runs_dir={self.runs_dir}"]
        self.chance = random.Random(seed)
        self.launches: list[Launch] = []
        self.injected: Counter[str] = Counter()
        self.problems: list[str] = []
        self.history: list[str] = []
        self.faults: dict[str, Callable[[], bool]] = {
            "SIGKILL to a launcher": lambda: self.kill("launcher", SIGKILL),
            "SIGKILL to the server of the members": lambda: self.kill("server", SIGKILL),
            "SIGKILL to a member": lambda: self.kill("member", SIGKILL),
            "SIGKILL to a loader worker": lambda: self.kill("loader", SIGKILL),
            "SIGTERM to a launcher": lambda: self.kill("launcher", SIGTERM),
            "SIGTERM to a member": lambda: self.kill("member", SIGTERM),
            "Ctrl-C": lambda: self.kill("all", SIGINT),
            "full disk": self.fill_the_disk,
            "checkpoint damaged": lambda: self.damage("checkpoints/last.pt"),
            "both checkpoints damaged": lambda: self.damage("checkpoints/last.pt", "checkpoints/previous.pt"),
            "metrics.csv damaged": lambda: self.damage("metrics.csv"),
            "run.json torn": lambda: self.damage("run.json"),
            "second sweep side by side": self.start_beside,
        }

    def go_through(self, faults: int) -> None:
        """Until each kind of fault has come about equally often, `faults` times in all; then once more, alone."""
        due = list(itertools.islice(itertools.cycle(self.faults), faults))
        self.chance.shuffle(due)
        started = time.monotonic()
        while due:
            seconds = time.monotonic() - started
            assert seconds < TOO_LONG_S, f"not yet: {due}"
            if all(launch.status is not None for launch in self.launches[-2:]):
                if self.launches and self.launches[-1].status == 0:
                    self.make_work()
                self.start()
            time.sleep(self.chance.uniform(0.1, 0.8))
            for kind in dict.fromkeys(due):  # the first one that there is an object for
                if self.faults[kind]():
                    self.injected[kind] += 1
                    self.history.append(f"{seconds:6.1f} s  launch {len(self.launches)}  {kind}")
                    due.remove(kind)
                    break
        for launch in self.launches:
            self.conclude(launch)
        alone = self.start()
        self.conclude(alone)
        if alone.status != 0:
            self.problems.append(f"once more and alone, the sweep ended with status {alone.status}:\n{alone.said}")

    def start(self) -> Launch:
        said = self.root / f"launch-{len(self.launches)}"
        self.launches.append(Launch(self.project, self.words, said))
        return self.launches[-1]

    def start_beside(self) -> bool:
        if sum(launch.status is None for launch in self.launches) != 1:
            return False
        self.start()
        return True

    def make_work(self) -> None:
        """Nothing is left to disturb: two runs are thrown back to their beginning."""
        for _ in range(2):
            self.injected["both checkpoints damaged"] += self.damage("checkpoints/last.pt", "checkpoints/previous.pt")

    def conclude(self, launch: Launch) -> None:
        """Waits for its end, and for that of all that it has started; what it said holds no traceback."""
        for _ in wait(TOO_LONG_S):
            if launch.status is not None:
                break
        end = time.monotonic() + CALM_S
        while (left := launch.processes()["all"]) and time.monotonic() < end:
            time.sleep(0.1)
        expected = (0, 1, *(128 + number for number in (SIGKILL, SIGTERM, SIGINT)))
        if left or launch.status not in expected or "Traceback" in launch.said:
            number = self.launches.index(launch) + 1
            self.problems.append(f"launch {number} ended with {launch.status}, left {left}, said:\n{launch.said}")

    def kill(self, role: str, number: Signals) -> bool:
        """One of them; the whole session for "all", as a terminal does."""
        found = [pid for launch in self.launches[-2:] if launch.status is None for pid in launch.processes()[role]]
        if not found:
            return False
        if role == "all":
            os.killpg(os.getsid(found[0]), number)
            return True
        return send(self.chance.choice(found), number)

    def fill_the_disk(self) -> bool:
        self.disk.fill()
        time.sleep(self.chance.uniform(0.2, 1.5))
        self.disk.free()
        return True

    def damage(self, *names: str) -> bool:
        """Of a run that no process is writing; if it had finished, its result is torn too, so that it is looked at."""
        from labkit.runs.folder import Held, RunFolder  # pyright: ignore[reportMissingImports](the project's)

        folders = sorted(path.parent for path in self.runs_dir.glob("*/*/checkpoints"))
        for path in self.chance.sample(folders, len(folders)):
            files = [path / name for name in names if (path / name).exists()]
            if len(files) < len(names):
                continue
            with suppress(Held, OSError), RunFolder(path).locked():
                for file in {*files, path / "run.json"}:
                    self.spoil(file)
                return True
        return False

    def spoil(self, file: Path) -> None:
        if not file.exists():
            return
        content = bytearray(file.read_bytes())
        at = self.chance.randrange(len(content) or 1)
        if content and file.suffix == ".pt" and self.chance.random() < 0.5:
            content[at : at + 512] = bytes(byte ^ 0xFF for byte in content[at : at + 512])
        else:
            del content[at:]
        file.write_bytes(content)


def compare(undisturbed: Path, disturbed: Path) -> list[str]:
    """What differs between two folders of runs, of which each run of one must be in the other."""
    one, other = (
        {path.parent.name: path.parent for path in root.glob("*/*/run.json")} for root in (undisturbed, disturbed)
    )
    found = [f"{name}: only in one of them" for name in sorted(one.keys() ^ other.keys())]
    for name in sorted(one.keys() & other.keys()):
        found += [f"{name}: {difference}" for difference in differences(one[name], other[name])]
    return found


def sweep_of(runs: int) -> list[str]:
    """As many members: models, with examples held in memory and fetched one by one, seeds."""
    models = ["net2", "net_bn", "net5"][: 3 if runs % 6 == 0 else 2]
    seeds = runs // (2 * len(models))
    if not seeds or runs % (2 * len(models)):
        raise SystemExit(
            f"error: --runs: {runs} cannot be made of models, data paths and seeds; use a multiple of 4 or 6"
        )
    return [f"model={','.join(models)}", "data.in_memory=true,false", f"seed=range({seeds})", *SETTING]


def bake(folder: Path) -> Path:
    result = cookiecutter(TEMPLATE, folder, {})
    assert result.returncode == 0, result.stderr
    (project,) = (path for path in folder.iterdir() if (path / "runs").is_dir())
    return project


def leave_alone(project: Path, words: list[str], root: Path) -> None:
    """The same sweep, to compare with."""
    launch = Launch(project, [*words, f"system.runs_dir={root / 'undisturbed'}"], root / "undisturbed.log")
    try:
        assert launch.wait() == 0, launch.said
    finally:
        launch.end()


def disturb(project: Path, words: list[str], root: Path, faults: int, seed: int) -> tuple[Chaos, list[str]]:
    """The companion's record, and what is not as it should be."""
    (root / "disk").mkdir()
    try:
        disk = Disk(root / "disk", size="32m")
    except pytest.skip.Exception as reason:
        raise SystemExit(f"error: {reason}") from None
    chaos = Chaos(project, words, root, disk, seed)
    try:
        chaos.go_through(faults)
        return chaos, chaos.problems + compare(root / "undisturbed", chaos.runs_dir)
    finally:
        for launch in chaos.launches:
            launch.end()
        disk.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, value in {"runs": 30, "faults": 52, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--project", type=Path)
    given = parser.parse_args()
    signal(SIGTERM, lambda *_: sys.exit(143))  # so that nothing of it stays behind
    words = sweep_of(given.runs)
    with tempfile.TemporaryDirectory() as name:
        project = given.project or bake(Path(name) / "baked")
        started = time.monotonic()
        leave_alone(project, words, Path(name))
        print(f"undisturbed: {given.runs} runs in {time.monotonic() - started:.0f} s", flush=True)
        started = time.monotonic()
        chaos, wrong = disturb(project, words, Path(name), given.faults, given.seed)
        seconds = time.monotonic() - started
    print(f"disturbed: {seconds:.0f} s, {len(chaos.launches)} launches, {chaos.injected.total()} faults:")
    for kind, times in chaos.injected.items():
        print(f"  {times:3} x {kind}")
    if wrong:
        raise SystemExit("\n".join([*chaos.history, f"error: {len(wrong)} things are not as they should be:", *wrong]))
    print(f"all {given.runs} runs have the weights and the rows of the undisturbed sweep, bit for bit")


if __name__ == "__main__":
    main()
