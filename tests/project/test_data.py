"""The split is fixed, the order and the augmentation are functions of their position, and both data paths agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
from labkit.build import build
from modules.data.augmentation import random_shift
from modules.data.batches import Batch, LoaderBatches, TensorBatches
from modules.data.prepare import PrepareConfig, prepare
from modules.data.sources import DataSet
from modules.data.splits import Split, stratified_split
from modules.parts import make_data
from modules.randomness import epoch_order, generator, key
from small_runs import CPU, config_of, same_bits, train_small, weights

TARGETS = np.arange(100) % 4


def synthetic(**changes: object) -> DataSet:
    options: dict[str, object] = {"examples": 100, "input_shape": [1, 4, 4], "classes": 4, "noise": 1.0}
    options |= {"generation_seed": 0, "in_memory": True, "max_shift": 1, "split_seed": 0}
    options |= {"validation_fraction": 0.2, "test_fraction": 0.2} | changes
    return build("data", {"_target_": "modules.data.sources.Synthetic", **options}, DataSet, datasets_dir="")


def in_memory(data: DataSet, seed: int = 0) -> TensorBatches:
    return TensorBatches(data, data.split.train, CPU, seed, data.max_shift)


def from_loader(data: DataSet, seed: int = 0, workers: int = 0) -> LoaderBatches:
    return LoaderBatches(data, data.split.train, CPU, seed, data.max_shift, workers)


def epoch_of(batches: TensorBatches | LoaderBatches, epoch: int, batch_size: int = 8, first: int = 0) -> list[Batch]:
    return list(batches.shuffled(epoch, batch_size, first, len(batches) // batch_size))


# ---- the split


def test_the_split_is_disjoint_complete_and_stratified() -> None:
    split = stratified_split(TARGETS, 0, 0.2, 0.2)
    assert sorted(np.concatenate([split.train, split.validation, split.test])) == list(range(100))
    for part, of_each_class in ((split.train, 15), (split.validation, 5), (split.test, 5)):
        assert np.bincount(TARGETS[part]).tolist() == [of_each_class] * 4


def test_the_split_is_the_same_on_every_machine() -> None:
    assert stratified_split(TARGETS, 0, 0.2, 0.2).fingerprint() == "6b3aea204ef97c6f"


def test_the_split_depends_on_its_own_seed_and_not_on_the_training_seed() -> None:
    def split_of(*overrides: str) -> str:
        return make_data(config_of("data=synthetic", *overrides)).split.fingerprint()

    assert split_of("seed=0") == split_of("seed=1") != split_of("data.split_seed=1")


def test_split_npz_gives_the_split_back(runs_dir: Path) -> None:
    with np.load(train_small(runs_dir) / "split.npz") as saved:
        split = Split(saved["train"], saved["validation"], saved["test"])
    assert split.fingerprint() == synthetic().split.fingerprint()


# ---- the order


def test_an_epoch_holds_every_example_once_and_its_order_depends_on_seed_and_epoch_only() -> None:
    orders = {(seed, epoch): epoch_order(seed, epoch, 60) for seed in (0, 1) for epoch in (0, 1)}
    torch.manual_seed(99)
    torch.rand(10)
    for (seed, epoch), order in orders.items():
        assert order.sort().values.tolist() == list(range(60))
        assert torch.equal(epoch_order(seed, epoch, 60), order)
    assert len({tuple(order.tolist()) for order in orders.values()}) == 4


def test_both_data_paths_serve_the_same_examples_in_the_same_order() -> None:
    data = synthetic(max_shift=0)
    assert same_bits(epoch_of(in_memory(data), 3), epoch_of(from_loader(data), 3))
    assert same_bits(list(in_memory(data).in_order(7)), list(from_loader(data).in_order(7)))


def test_evaluation_sees_every_example_once_and_unchanged() -> None:
    data = synthetic()
    for batches in (in_memory(data), from_loader(data)):
        served = list(batches.in_order(7))
        assert [len(batch["target"]) for batch in served] == [7] * 8 + [4]
        assert torch.equal(torch.cat([b["input"] for b in served]), torch.from_numpy(data.inputs[data.split.train]))


def test_an_epoch_can_be_entered_in_the_middle() -> None:
    for batches in (in_memory(synthetic()), from_loader(synthetic())):
        whole, rest = epoch_of(batches, 1), epoch_of(batches, 1, first=4)
        assert len(whole) == 7
        assert same_bits(whole[4:], rest)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # torch forks its workers
def test_the_number_of_workers_changes_nothing() -> None:
    data = synthetic()
    assert same_bits(epoch_of(from_loader(data), 0), epoch_of(from_loader(data, workers=2), 0))


def test_both_data_paths_end_with_the_same_weights(runs_dir: Path) -> None:
    first, second = (
        train_small(runs_dir, f"data.in_memory={value}", "model.dropout=0.5") for value in ("true", "false")
    )
    assert first != second
    assert same_bits(weights(first), weights(second))


# ---- the augmentation


def test_a_shift_moves_each_image_as_a_whole_and_fills_with_zeros() -> None:
    images = torch.arange(1.0, 1 + 3 * 16).view(3, 1, 4, 4)
    shifted = random_shift(images, 1, generator(0))
    down, right = torch.randint(0, 3, (2, 3), generator=generator(0)) - 1
    for image, moved, dy, dx in zip(images[:, 0], shifted[:, 0], down.tolist(), right.tolist(), strict=True):
        for y in range(4):
            for x in range(4):
                inside = 0 <= y + dy < 4 and 0 <= x + dx < 4
                assert moved[y, x] == (image[y + dy, x + dx] if inside else 0)


def test_what_a_loader_draws_for_an_example_depends_on_seed_epoch_and_index_only() -> None:
    data = synthetic()

    def images(batch_size: int, epoch: int, seed: int = 0) -> torch.Tensor:
        served = torch.cat([batch["input"] for batch in epoch_of(from_loader(data, seed), epoch, batch_size)])
        return served[epoch_order(seed, epoch, 60).argsort()]  # in the data set's own order

    assert torch.equal(images(batch_size=4, epoch=0), images(batch_size=10, epoch=0))
    assert not torch.equal(images(batch_size=4, epoch=0), images(batch_size=4, epoch=1))
    assert not torch.equal(images(batch_size=4, epoch=0), images(batch_size=4, epoch=0, seed=1))


def test_what_is_drawn_for_a_batch_in_memory_depends_on_seed_epoch_and_its_number_only() -> None:
    batches = in_memory(synthetic())
    first = epoch_of(batches, 0)
    assert same_bits(epoch_of(batches, 0), first)
    unmoved = epoch_of(in_memory(synthetic(max_shift=0)), 0)
    assert not any(torch.equal(moved["input"], still["input"]) for moved, still in zip(first, unmoved, strict=True))


def test_fetching_leaves_the_generator_of_the_training_steps_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    for batches in (in_memory(synthetic()), from_loader(synthetic())):
        epoch_of(batches, 0)
        list(batches.in_order(7))
    assert torch.equal(torch.get_rng_state(), before)


def test_keys_that_share_their_low_bits_draw_different_numbers() -> None:
    assert not torch.equal(torch.rand(4, generator=generator(1)), torch.rand(4, generator=generator(1 + 2**32)))
    assert key("step", 1, 23) != key("step", 12, 3)


# ---- prepared data


def test_preparing_again_leaves_intact_data_and_repairs_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PrepareConfig(["digits"], str(tmp_path))
    prepare(config)
    files = {path: path.read_bytes() for path in (tmp_path / "digits").iterdir()}
    assert sorted(path.name for path in files) == ["dataset.json", "inputs.npy", "targets.npy"]
    times = {path: path.stat().st_mtime_ns for path in files}
    prepare(config)
    assert "is there already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in files} == times
    (tmp_path / "digits" / "targets.npy").write_bytes(b"")
    prepare(config)
    assert {path: path.read_bytes() for path in files} == files


def test_an_unknown_data_set_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'^datasets: "digit" is not one of digits; did you mean "digits"\?$'):
        prepare(PrepareConfig(["digits", "digit"], str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"targets": TARGETS - 1}, r"labels must lie in 0\.\.3"),
        ({"targets": TARGETS + 1}, r"labels must lie in 0\.\.3"),
        ({"inputs": np.full((100, 1, 4, 4), np.nan, np.float32)}, "NaN or infinite"),
    ],
)
def test_wrong_labels_and_numbers_are_refused(change: dict[str, np.ndarray], answer: str) -> None:
    arrays = {"inputs": np.zeros((100, 1, 4, 4), np.float32), "targets": TARGETS} | change
    split = stratified_split(TARGETS, 0, 0.2, 0.2)
    with pytest.raises(ValueError, match=answer):
        DataSet(**arrays, classes=4, fingerprint="", split=split, in_memory=True, max_shift=0)


def test_digits_are_the_same_from_memory_and_from_the_disk(datasets: Path) -> None:
    def digits(in_memory: str) -> DataSet:
        return make_data(config_of("data=digits", f"data.in_memory={in_memory}", f"system.datasets_dir={datasets}"))

    held, mapped = digits("true"), digits("false")
    assert isinstance(mapped.inputs, np.memmap)
    assert not isinstance(held.inputs, np.memmap)
    assert np.array_equal(held.inputs, mapped.inputs)
    assert held.input_shape == (1, 8, 8)
    assert [len(held.split.train), len(held.split.validation), len(held.split.test)] == [1079, 359, 359]
