"""What a transformer attends to is drawn from its checkpoint, and only where there is a transformer."""

import shutil
from pathlib import Path

import matplotlib
import pytest
from labkit.reporting.analysis.findings import find
from labkit.reporting.figures import find_function
from labkit.reporting.figures.style import STYLE, Drawing
from labkit.runs.study import read_study
from matplotlib.figure import Figure
from run_folders import add_run
from small_runs import run_command, train_small

DIGITS = ("data=digits", "model=transformer", "model.width=8", "model.layers=1", "training.epochs=1")
TEXT = ("data=text", "model=transformer_text", "model.width=8", "model.layers=2", "training.epochs=1")


def draw(study: Path) -> list[Drawing] | str:
    with matplotlib.rc_context(STYLE):
        return find_function("attention", "modules.figures")(find(read_study(study), None, None, None, ["seed"]), 14.0)


def figure_of(study: Path) -> tuple[Figure, str]:
    drawn = draw(study)
    assert not isinstance(drawn, str), drawn
    ((name, figure, caption),) = drawn
    assert name == "attention"
    with matplotlib.rc_context(STYLE):
        figure.draw_without_rendering()
    return figure, caption


def test_images_have_the_attention_of_their_patches_below_them(tmp_path: Path, datasets: Path) -> None:
    for seed in (0, 1):
        train_small(tmp_path, *DIGITS, f"system.datasets_dir={datasets}", f"seed={seed}", base=())
    figure, caption = figure_of(tmp_path / "default")
    above, below = figure.axes[:4], figure.axes[4:8]
    titles = [axes.get_title().split("\n") for axes in above]
    assert [true for true, _ in titles] == ["true: 0", "true: 1", "true: 2", "true: 3"]
    assert all(predicted.startswith("predicted: ") for _, predicted in titles)
    for image, patches in zip(above, below, strict=True):
        assert image.images[0].get_array().shape == (8, 8)  # type: ignore[union-attr]
        weights = patches.images[0].get_array()
        assert weights is not None
        assert weights.shape == (4, 4)
        assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert caption.startswith("Attention of transformer on the first test example of each of 4 classes: the share that")
    assert "the run with the best validation accuracy" in caption


def test_texts_have_it_beside_their_words(tmp_path: Path) -> None:
    train_small(tmp_path, *TEXT, base=())
    figure, caption = figure_of(tmp_path / "default")
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == ["true: negative", "true: positive"]
    for axes in figure.axes:
        words = [label.get_text() for label in axes.get_yticklabels()]
        assert "was" in words
        assert "" not in words  # padding is no word
        assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(1, abs=1e-5)  # type: ignore[attr-defined]
    assert "each token gets in the last layer" in caption


def test_a_run_that_lacks_its_checkpoint_or_its_data_is_said(tmp_path: Path, datasets: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(datasets, data)
    run = train_small(tmp_path, *DIGITS, f"system.datasets_dir={data}", base=())
    shutil.rmtree(data)
    assert "prepare.py" in str(draw(run.parent))
    (run / "checkpoints" / "best.pt").unlink()
    assert "checkpoint is missing" in str(draw(run.parent))


def test_a_study_without_a_transformer_is_reported_without_torch(study: Path, tmp_path: Path) -> None:
    add_run(study)
    assert draw(study) == "no run with results is a transformer."
    result = run_command("-X", "importtime", "runs/report.py", f"runs_dir={study.parent}", f"reports_dir={tmp_path}")
    assert result.returncode == 0, result.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if "import time:" in line}
    assert "matplotlib.figure" in imported
    assert "torch" not in imported
