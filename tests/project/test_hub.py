"""Data sets of the Hugging Face Hub, from small files in its own format; the hub itself is not asked."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import config as datasets_config
from modules.data import prepare as preparing
from modules.data.base import ArrayData
from modules.data.prepare import PrepareConfig, prepare
from modules.parts import make_data
from PIL import Image
from pyarrow import parquet
from small_runs import config_of, result, train_small


def images(number: int, colour: bool) -> list[np.ndarray]:
    random = np.random.default_rng(number)
    shape = (32, 32, 3) if colour else (28, 28)
    return [random.integers(0, 256, shape).astype(np.uint8) for _ in range(number)]


def encoded(pixels: np.ndarray) -> dict[str, Any]:
    """An image as the hub keeps it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": "image.png"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of a data set as the hub has them: Parquet with encoded images, and their features."""
    monkeypatch.setattr(datasets_config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "repository"


def publish(folder: Path, columns: dict[str, str], colour: bool, names: list[str] | None) -> None:
    """Parquet files with encoded images, the label of a class or a number, and what the columns are."""
    image, label = columns.values()
    kind = {"names": names, "_type": "ClassLabel"} if names else {"dtype": "int64", "_type": "Value"}
    about = {"info": {"features": {image: {"_type": "Image"}, label: kind}}}
    file_type = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema({image: file_type, label: pa.int64()}, metadata={"huggingface": json.dumps(about)})
    (folder / "data").mkdir(parents=True)
    for part, number in (("train", 40), ("test", 10)):
        labels = [k % 5 + (0 if names else 7) for k in range(number)]
        rows = pa.table({image: [encoded(p) for p in images(number, colour)], label: labels}, schema=schema)
        parquet.write_table(rows, folder / "data" / f"{part}-00000-of-00001.parquet")


def prepared(name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `python runs/prepare.py datasets=[name]` would, from the files on this machine."""
    own = (preparing.CONFIG / f"{name}.yaml").read_text(encoding="utf-8")
    lines = [f"dataset: {repository}" if line.startswith("dataset:") else line for line in own.splitlines()]
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / f"{name}.yaml").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(preparing, "CONFIG", tmp_path / "config")
    prepare(PrepareConfig([name], str(tmp_path / "datasets")))
    return tmp_path / "datasets"


@pytest.mark.parametrize(
    ("name", "columns", "colour"),
    [
        ("mnist", {"input": "image", "target": "label"}, False),
        ("fashion_mnist", {"input": "image", "target": "label"}, False),
        ("cifar10", {"input": "img", "target": "label"}, True),
        ("cifar100", {"input": "img", "target": "fine_label"}, True),
    ],
)
def test_a_data_set_of_the_hub_is_prepared_once_and_trained_on(
    name: str, columns: dict[str, str], colour: bool, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(repository, columns, colour, ["a", "b", "c", "d", "e"])
    datasets_dir = prepared(name, repository, tmp_path, monkeypatch)
    words = (f"data={name}", f"system.datasets_dir={datasets_dir}", "training.batch_size=8", "training.epochs=1")
    data = make_data(config_of(*words))
    assert isinstance(data, ArrayData)
    assert data.facts["class_names"] == ["a", "b", "c", "d", "e"]
    assert [len(data.split.part(part)) for part in ("train", "validation", "test")] == [35, 5, 10]
    assert data.split.test.tolist() == list(range(40, 50))  # as published
    first = images(40, colour)[0] / np.float32(255)
    assert (data.arrays["input"][0] == (first.transpose(2, 0, 1) if colour else first[None])).all()
    folder = train_small(tmp_path / "runs", base=(*words, "model=linear", "system.device=cpu"))
    assert result(folder)["data"]["name"] == name


def test_a_column_without_names_of_classes_gives_them_itself(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(repository, {"input": "image", "target": "label"}, False, None)
    datasets_dir = prepared("mnist", repository, tmp_path, monkeypatch)
    data = make_data(config_of("data=mnist", f"system.datasets_dir={datasets_dir}"))
    assert data.facts["class_names"] == ["7", "8", "9", "10", "11"]


def test_a_wrong_column_or_data_set_is_refused_in_a_sentence(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(repository, {"input": "picture", "target": "label"}, False, None)
    with pytest.raises(ValueError, match=r'^data.input_column: .* has no column "image"; it has picture, label'):
        prepared("mnist", repository, tmp_path, monkeypatch)
    (tmp_path / "config" / "mnist.yaml").unlink()
    (tmp_path / "config").rmdir()
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"^datasets: .*nowhere cannot be fetched from the hub \(.*\)"):
        prepared("mnist", tmp_path / "nowhere", tmp_path, monkeypatch)
    assert not (tmp_path / "datasets").exists()


def test_without_the_package_the_error_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ValueError, match=r"needs the package datasets; run: pip install -r env_setup/requirements-data"
    ):
        prepare(PrepareConfig(["mnist"], str(tmp_path)))
    with pytest.raises(ValueError, match=r"the data set is missing; run: python runs/prepare.py datasets=\[mnist\]"):
        make_data(config_of("data=mnist", f"system.datasets_dir={tmp_path}"))
