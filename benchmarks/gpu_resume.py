"""Whether a run on a GPU that is killed with -9 and started again ends with the same bits, setting by setting.

python benchmarks/gpu_resume.py     on a machine with an NVIDIA GPU
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

PROJECT = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
# All that a checkpoint has to carry: momentum, dropout, augmentation, batch statistics, averaged weights, a schedule.
EVERYTHING = (
    *("model=net_bn", "model.dropout=0.3", "data.max_shift=1", "training.batch_size=16", "training.accumulation=2"),
    *("training.ema_decay=0.9", "training.clip_norm=0.5", "training.schedule=cosine", "training.warmup_steps=5"),
)
SETTINGS = {
    "in memory, fp32": EVERYTHING,
    "in memory, bf16": (*EVERYTHING, "training.precision=bf16"),
    "in memory, fp16 with loss scaling": (*EVERYTHING, "training.precision=fp16"),
    "4 loader workers, pinned memory": (*EVERYTHING, "data.in_memory=false", "system.loader_workers=4"),
    "skip_step, plateau": (*EVERYTHING, "training.divergence=skip_step", "training.schedule=plateau"),
    "compiled": ("model=net2", "training.compile=true"),
}
OFTEN = ("training.evaluate_every_epochs=null", "training.evaluate_every_steps=20", "system.log_every_steps=20")
COMMON = (*OFTEN, "training.epochs=8", "system.device=cuda")


def start(runs_dir: Path, *overrides: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "runs/train.py", *COMMON, *overrides, f"system.runs_dir={runs_dir}"]
    return subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.DEVNULL)


def killed_after(runs_dir: Path, rows: int, *overrides: str) -> int:
    """Kills a run, which saves after every step, once it has written so many rows; returns the step of its last one."""
    process = start(runs_dir, *overrides, "system.checkpoint_minutes=0")
    while len(table(runs_dir)) <= rows:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.wait()
    return int(table(runs_dir)[-1].split(",")[0])


def table(runs_dir: Path) -> list[str]:
    files = list(runs_dir.glob("default/*/metrics.csv"))
    return files[0].read_text(encoding="utf-8").splitlines() if files else []


def weights(runs_dir: Path, name: str) -> dict[str, Any]:
    (file,) = runs_dir.glob(f"default/*/checkpoints/{name}.pt")
    return torch.load(file, weights_only=True, map_location="cpu")["network"]


def same(one: Path, other: Path) -> bool:
    """Rows, last and best weights."""
    pairs = [(weights(one, name), weights(other, name)) for name in ("last", "best")]
    return table(one) == table(other) and all(torch.equal(a[key], b[key]) for a, b in pairs for key in a)


def main() -> None:
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    subprocess.run([sys.executable, "runs/prepare.py"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, overrides) in enumerate(SETTINGS.items()):
            once = Path(folder, f"{number}-once")  # no comma: Hydra would take it for a list
            resumed = Path(folder, f"{number}-resumed")
            assert start(once, *overrides).wait() == 0
            step = killed_after(resumed, 3, *overrides)
            assert start(resumed, *overrides).wait() == 0
            (file,) = once.glob("default/*/run.json")
            cost = json.loads(file.read_bytes())["cost"]
            verdict = "bit-identical" if same(once, resumed) else "DIFFERENT"
            speed = f"{cost['examples_per_s']:6.0f} examples/s, {cost['peak_gpu_memory_mb']:3.0f} MiB on the GPU"
            print(f"  {name:34} killed after row {step:3}: {verdict}   {speed}")


if __name__ == "__main__":
    main()
