"""Folders of images, texts, shapes and memory maps: what they serve, by both ways, and what is refused."""

import itertools
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labkit.runs import data_files
from modules.data import image_folder
from modules.data.base import ArrayData
from modules.data.batches import Batches
from modules.parts import make_data
from PIL import Image
from small_runs import CPU, config_of, result, same_bits, train_small

SHORT = ("training.epochs=2", "training.batch_size=8", "system.device=cpu", "system.threads=1")


def data_of(*words: str) -> ArrayData:
    data = make_data(config_of(*words))
    assert isinstance(data, ArrayData)
    return data


def served(data: ArrayData, part: str = "train", workers: int = 0) -> list[dict[str, torch.Tensor]]:
    """An epoch in order, and one shuffled."""
    batches = Batches(data.part(part), seed=0, device=CPU, workers=workers)
    return [*batches.in_order(7), *batches.shuffled(0, 8, 0, len(batches) // 8)]


@pytest.mark.parametrize("name", ["synthetic", "shapes", "shapes_labels", "table", "table_regression", "text"])
def test_data_that_comes_with_a_project_gives_no_reason_for_a_warning(name: str) -> None:
    """Such as examples of the test part that are in the training part as well."""
    assert data_of(f"data={name}").warnings == []


# ---- folders of images


def pictures(root: Path, per_class: int = 20, inside: str = "") -> Path:
    """Red and blue images, of several sizes and formats."""
    random = np.random.default_rng(0)
    for number, name in enumerate(("blue", "red")):
        (root / inside / name).mkdir(parents=True)
        for k in range(per_class):
            pixels = random.integers(0, 100, (10 + k, 12, 3))
            pixels[:, :, 2 - 2 * number] += 155
            ending = (".png", ".JPG", ".jpeg")[k % 3]
            Image.fromarray(pixels.astype(np.uint8)).save(root / inside / name / f"{k:03}{ending}")
    (root / inside / "notes.txt").write_text("no image", encoding="utf-8")
    return root


def folder_of(root: Path, *words: str) -> tuple[str, ...]:
    return ("data=image_folder", f"data.folder={root}", "data.size=8", *words)


def test_a_folder_of_images_is_trained_on_by_one_command(tmp_path: Path, runs_dir: Path) -> None:
    words = (*folder_of(pictures(tmp_path / "images")), "model=linear", *SHORT, "training.epochs=20")
    folder = train_small(runs_dir, base=words)
    assert result(folder)["best"]["metrics"]["validation/accuracy"] == 1.0
    assert result(folder)["data"]["facts"]["class_names"] == ["blue", "red"]
    assert result(folder)["data"]["examples"] == {"train": 24, "validation": 8, "test": 8}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # torch forks its workers
def test_images_are_the_same_decoded_once_or_by_workers(tmp_path: Path) -> None:
    root = pictures(tmp_path / "images")
    once = data_of(*folder_of(root, "data.max_shift=1", "data.flip=true"))
    flying = data_of(*folder_of(root, "data.max_shift=1", "data.flip=true", "data.in_memory=false"))
    assert once.fingerprint == flying.fingerprint
    batches = served(once)
    assert same_bits(batches, served(flying))
    assert same_bits(batches, served(flying, workers=2))
    first = batches[0]["input"]
    assert (first.dtype, tuple(first.shape)) == (torch.float32, (7, 3, 8, 8))
    assert 0 <= first.min() < first.max() <= 1


@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("installed", [True, False], ids=["simplejpeg", "PIL alone"])
def test_pixels_are_those_of_pil(installed: bool, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert image_folder.decode_jpeg is not None
    if not installed:
        monkeypatch.setattr(image_folder, "decode_jpeg", None)
    root = pictures(tmp_path / "images")
    Image.open(root / "red" / "001.JPG").convert("L").save(root / "red" / "grey.jpg")
    Image.open(root / "red" / "001.JPG").convert("CMYK").save(root / "red" / "print.jpg")
    data = data_of(*folder_of(root, f"data.colour={colour}"))
    paths = sorted(root.glob("*/*.[pjJ]*"))
    for path, pixels in zip(paths, data.arrays["input"], strict=True):
        mode = {"rgb": "RGB", "grey": "L"}[colour]
        expected = np.asarray(Image.open(path).convert(mode).resize((8, 8), Image.Resampling.BILINEAR))
        assert (pixels.transpose(1, 2, 0).squeeze() == expected).all()


def test_a_published_test_set_is_kept(tmp_path: Path) -> None:
    root = pictures(tmp_path / "images", 20, "train")
    pictures(root, 5, "test")
    data = data_of(*folder_of(root, "data.split_kind=given", "data.validation_fraction=0.1"))
    assert [len(data.split.part(part)) for part in ("train", "validation", "test")] == [36, 4, 10]
    assert data.arrays["target"][data.split.test].tolist() == [0] * 5 + [1] * 5
    pictures(root, 1, "spare")
    with pytest.raises(ValueError, match=r"spare.*is in none of the folders train, validation, test; move it"):
        data_of(*folder_of(root, "data.split_kind=given"))


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    root = pictures(tmp_path / "images")
    broken = root / "red" / "000.png"
    for content in (b"", b"no image", broken.read_bytes()[:60], (root / "red" / "001.JPG").read_bytes()[:200]):
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"^data: .*000\.png cannot be read as an image \(.*\); remove"):
            data_of(*folder_of(root))
    flying = data_of(*folder_of(root, "data.in_memory=false"))
    with pytest.raises(ValueError, match=r"000\.png cannot be read"):
        [served(flying, part) for part in ("train", "validation", "test")]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^data.folder: there are no images \*/\* in .*; it needs a folder for each"):
        data_of(*folder_of(tmp_path))
    with pytest.raises(ValueError, match=r"^data: colour must be one of grey, rgb"):
        data_of(*folder_of(tmp_path, "data.colour=blue"))


# ---- texts


def lines_in(path: Path, content: str) -> tuple[str, ...]:
    path.write_text(content, encoding="utf-8")
    return ("data=text", f"data.file={path}", "data.rare=1", "data.split_kind=random")


def test_a_file_of_lines_becomes_padded_batches(tmp_path: Path) -> None:
    content = "".join(f"{'good' if k % 2 else 'bad'}\tIt was {'so ' * (k % 4)}nice\n" for k in range(40))
    data = data_of(*lines_in(tmp_path / "lines.tsv", content))
    assert data.facts["class_names"] == ["bad", "good"]
    names = data.facts["tokens"]
    assert names == ["", "?", "it", "nice", "so", "was"]
    assert data.facts["vocabulary"] == 6
    for batch in served(data):
        assert batch["mask"].sum(1).max() == batch["input"].shape[1]
        assert torch.equal(batch["mask"], batch["input"] != 0)
    texts = {" ".join(names[i] for i in row[row > 0]) for batch in served(data) for row in batch["input"]}
    assert texts == {"it was nice", "it was so nice", "it was so so nice", "it was so so so nice"}
    assert same_bits(served(data), served(data_of(*lines_in(tmp_path / "lines.tsv", content), "data.in_memory=false")))
    characters = data_of(*lines_in(tmp_path / "lines.tsv", content), "data.characters=true", "data.length=5")
    assert characters.facts["input_shape"] == (5,)
    assert {"I", "t", " "} <= set(characters.facts["tokens"])


def test_the_vocabulary_is_that_of_the_training_part(tmp_path: Path) -> None:
    data = data_of(*lines_in(tmp_path / "lines.tsv", "".join(f"{k % 2}\tword{k}\n" for k in range(50))))
    rows = data.arrays["input"]
    assert (rows[data.split.train] > 1).all()
    assert (rows[data.split.validation] == 1).all()
    assert (rows[data.split.test] == 1).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\nc d\n", "line 2 of .* has no label, a tab and text"),
        ("a\t\n", "line 1 of .* has no label, a tab and text"),
        ("\n", "line 1 of"),
        ("", "has no lines"),
    ],
)
def test_a_file_that_holds_no_labelled_lines_is_refused(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        data_of(*lines_in(tmp_path / "lines.tsv", content))
    (tmp_path / "latin.tsv").write_bytes(b"a\tna\xefve\n")
    with pytest.raises(ValueError, match=r"latin\.tsv is not UTF-8"):
        data_of("data=text", f"data.file={tmp_path / 'latin.tsv'}")
    with pytest.raises(ValueError, match=r'there is no file "nowhere\.tsv" in'):
        data_of("data=text", "data.file=nowhere.tsv")


# ---- shapes


def test_shapes_and_their_masks_are_moved_together() -> None:
    words = ("data=shapes", "data.examples=60", "data.size=16", "data.noise=0")
    still = data_of(*words)
    assert still.facts["class_names"] == ["background", "circle", "square"]
    assert set(np.unique(still.arrays["target"])) == {0, 1, 2}
    moved = data_of(*words, "data.max_shift=3", "data.flip=true")
    batches = served(moved)
    for batch in batches:
        assert torch.equal(batch["input"][:, 0] > 0, batch["target"] > 0)
    assert not same_bits(batches, served(still))
    labels = data_of("data=shapes_labels", "data.examples=60", "data.size=16")
    there = [(still.arrays["target"] == k).any((1, 2)) for k in (1, 2)]
    assert (labels.arrays["target"] == np.stack(there, 1)).all()


# ---- memory maps


def shards(root: Path, lengths: tuple[int, ...] = (30, 1, 29), **changes: Any) -> Path:
    random = np.random.default_rng(0)
    root.mkdir(exist_ok=True)
    for number, length in enumerate(lengths):
        target = random.integers(0, 2, length)
        inputs = (random.normal(size=(length, 3)) + 3 * target[:, None]).astype(changes.get("dtype", np.float32))
        np.save(root / f"inputs-{number:03}.npy", inputs)
        np.save(root / f"targets-{number:03}.npy", target.astype(changes.get("target", np.int64)))
    return root


def map_of(root: Path, *words: str) -> tuple[str, ...]:
    return ("data=memory_map", f"data.folder={root}", "data.class_names=[no,yes]", *words)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8, np.int16, np.int32])
def test_shards_are_served_as_one_array_would_be(dtype: type, tmp_path: Path) -> None:
    root = shards(tmp_path / "shards", dtype=dtype)
    data = data_of(*map_of(root, "data.split_kind=random"))
    inputs = np.concatenate([np.load(path) for path in sorted(root.glob("inputs-*"))])
    rows = np.array([0, 29, 30, 31, 59, 30, 2])
    for shared in (data.arrays["input"], pickle.loads(pickle.dumps(data.arrays["input"]))):
        assert shared[rows].dtype == dtype
        assert (shared[rows] == inputs[rows]).all()
    batch = served(data)[0]
    assert (batch["input"].numpy() == inputs[data.split.train[:7]]).all()


def test_a_memory_map_is_trained_on_and_read_as_a_whole_once(tmp_path: Path, runs_dir: Path) -> None:
    root = shards(tmp_path / "shards")
    words = (*map_of(root, "data.split_kind=random"), "model=mlp", *SHORT, "training.epochs=10")
    folder = train_small(runs_dir, base=words)
    assert result(folder)["best"]["metrics"]["validation/accuracy"] > 0.9
    written = (root / ".checked.json").stat().st_mtime_ns
    assert data_of(*words).fingerprint == result(folder)["data"]["fingerprint"]
    assert (root / ".checked.json").stat().st_mtime_ns == written
    inputs = np.load(root / "inputs-002.npy")
    inputs[7, 1] = np.nan
    np.save(root / "inputs-002.npy", inputs)
    os.utime(root / "inputs-002.npy", ns=(0, 0))
    with pytest.raises(ValueError, match=r"inputs-002\.npy from row 0 on holds NaN .* the first is 7"):
        data_of(*words)


def test_ten_million_examples_start_in_little_memory(tmp_path: Path) -> None:
    """Its split takes 4 bytes for each of them; neither the rows nor the order of an epoch are held by Python."""
    few = shards(tmp_path / "few", (10_000,))
    many = tmp_path / "many"
    many.mkdir()
    for number in range(2):
        np.save(many / f"inputs-{number:03}.npy", np.ones((5_000_000, 1), np.float16))
        np.save(many / f"targets-{number:03}.npy", np.arange(5_000_000) % 2)
    data_of(*map_of(many))  # reads all of it, once
    peaks = []
    for root in (few, many):
        tracemalloc.start()
        data = data_of(*map_of(root))
        data.split.to_bytes()
        data.split.fingerprint()
        batches = Batches(data.part("train"), seed=0, device=CPU, workers=0)
        assert len(next(batches.shuffled(0, 64, 0, 2))["target"]) == 64
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    order = 8 * len(data.split.train) / 1e6  # MB, of torch
    assert peaks[1] - peaks[0] + order < 200


def test_neighbours_stay_in_one_part(tmp_path: Path) -> None:
    data = data_of(*map_of(shards(tmp_path / "shards", (7_500, 2_600))))
    blocks = [set((data.split.part(part) // 1000).tolist()) for part in ("train", "validation", "test")]
    assert [len(numbers) for numbers in blocks] == [7, 2, 2]
    assert len(set.union(*blocks)) == 11
    assert sum(len(data.split.part(part)) for part in ("train", "validation", "test")) == 10_100


@pytest.mark.parametrize("targets", [np.array([0, 2]), np.array([-1, 1]), np.array([0.0, 1.0])])
def test_targets_that_are_no_classes_are_found_when_the_shards_are_read(targets: np.ndarray, tmp_path: Path) -> None:
    root = shards(tmp_path / "shards", (30,))
    np.save(root / "targets-000.npy", np.resize(targets, 30))
    with pytest.raises(ValueError, match=r"^data: targets-000\.npy must hold whole numbers from 0 to 1; correct it"):
        data_of(*map_of(root))


def test_shards_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no inputs-\*\.npy in"):
        data_of(*map_of(tmp_path))
    root = shards(tmp_path / "shards")
    with pytest.raises(ValueError, match=r"^data.in_memory: must be false for a memory map"):
        data_of(*map_of(root), "data.in_memory=true")
    np.save(root / "targets-001.npy", np.zeros(2, np.int64))
    with pytest.raises(ValueError, match=r"the shards of inputs and targets in .* are not equally long"):
        data_of(*map_of(root))
    np.save(root / "inputs-001.npy", np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match=r"shards inputs-\*\.npy in .* differ in type or shape"):
        data_of(*map_of(root))
    (root / "inputs-001.npy").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"inputs-001\.npy is no array of numbers .*; write it again"):
        data_of(*map_of(root))


# ---- what changes on the disk


@pytest.mark.parametrize("change", ["an image more", "an image less", "another image", "other bytes of the same size"])
def test_a_folder_that_was_changed_is_not_finished_already(change: str, tmp_path: Path, runs_dir: Path) -> None:
    root = pictures(tmp_path / "images")
    words = (*folder_of(root), "model=linear", *SHORT)
    train_small(runs_dir, base=words)
    (root / "red" / "003.png").touch()
    (root / "red" / ".hidden").touch()
    train_small(runs_dir, base=words)  # nothing to do: the content is the same
    image = root / "red" / "000.png"
    if change == "an image more":
        Image.new("RGB", (9, 9)).save(root / "red" / "more.png")
    elif change == "an image less":
        image.unlink()
    elif change == "another image":
        Image.new("RGB", (9, 9)).save(image)
    else:
        content = bytearray(image.read_bytes())
        content[-20] ^= 1
        image.write_bytes(content)
    with pytest.raises(ValueError, match=r"finished on other data .*images changed since"):
        train_small(runs_dir, base=words)


def test_of_much_data_evenly_lying_blocks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "BLOCK", 10)
    monkeypatch.setattr(data_files, "LARGE", 100)
    for number in range(20):
        (tmp_path / f"{number:02}").write_bytes(bytes(50))  # 1,000 bytes: a block of 10 in each 100
    before = data_files.content_hash(tmp_path)
    seen = []
    for number, position in itertools.product(range(20), range(0, 50, 10)):
        path = tmp_path / f"{number:02}"
        path.write_bytes(bytes(position) + b"x" + bytes(49 - position))
        seen.append(data_files.content_hash(tmp_path) != before)
        path.write_bytes(bytes(50))
    assert seen == [n % 10 == 0 for n in range(100)]
    (tmp_path / "07").write_bytes(bytes(51))
    assert data_files.content_hash(tmp_path) != before  # sizes are always compared
