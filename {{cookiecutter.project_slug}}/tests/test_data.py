"""The splits are disjoint and fixed, what is drawn is a function of its position, and both data paths agree."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import CPU, SMALL, choices, config_of, same_batches

from modules.config import TrainConfig
from modules.data.augmentation import random_shift
from modules.data.sources import DataSet
from modules.parts import make_batches, make_data
from modules.randomness import epoch_order, generator

PARTS = ("train", "validation", "test")


@pytest.fixture(params=choices("data"))
def config(request: pytest.FixtureRequest, datasets_dir: Path) -> TrainConfig:
    """With each data set of config/data/ in turn."""
    return config_of(f"data={request.param}", f"system.datasets_dir={datasets_dir}", "system.device=cpu")


# ---- every data set


def test_examples_fit_what_the_data_set_says_of_itself(config: TrainConfig) -> None:
    data = make_data(config)
    for part in PARTS:
        batch = next(iter(make_batches(config, data, part, CPU).in_order(4)))
        assert batch["input"].shape == (4, *data.input_shape)
        assert batch["input"].dtype == torch.float32
        assert batch["input"].isfinite().all()
        assert 0 <= batch["target"].min() <= batch["target"].max() < data.classes


def test_every_example_is_in_exactly_one_part_and_no_part_is_empty(config: TrainConfig) -> None:
    data = make_data(config)
    parts = [getattr(data.split, part) for part in PARTS]
    assert min(map(len, parts)) > 0
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(data.targets)))


def test_no_image_of_the_training_set_is_in_the_test_set_as_well(config: TrainConfig) -> None:
    data = make_data(config)
    seen = {data.inputs[i].tobytes() for i in data.split.train}
    assert not any(data.inputs[i].tobytes() in seen for i in data.split.test)


def test_every_class_has_the_same_share_of_every_part(config: TrainConfig) -> None:
    data = make_data(config)
    shares = [np.bincount(data.targets[getattr(data.split, part)], minlength=data.classes) for part in PARTS]
    whole = np.bincount(data.targets, minlength=data.classes)
    for share in shares:
        assert np.abs(share - whole * share.sum() / whole.sum()).max() <= 1


def test_data_and_split_are_the_same_each_time_and_for_every_training_seed(config: TrainConfig) -> None:
    same = (f"data={config.data['name']}", f"system.datasets_dir={config.system.datasets_dir}", "seed=1")
    one, other = make_data(config), make_data(config_of(*same))
    assert one.fingerprint == other.fingerprint
    assert one.split.fingerprint() == other.split.fingerprint()


# ---- how examples are served


def small(*overrides: str) -> tuple[TrainConfig, DataSet]:
    config = config_of(*SMALL, *overrides)
    return config, make_data(config)


def epoch_of(epoch: int, *overrides: str, batch_size: int = 8, first: int = 0) -> list[dict[str, torch.Tensor]]:
    config, data = small(*overrides)
    batches = make_batches(config, data, "train", CPU)
    return list(batches.shuffled(epoch, batch_size, first, len(batches) // batch_size))


def in_their_own_order(epoch: int, *overrides: str) -> torch.Tensor:
    """The training images as an epoch shows them, sorted as they are in the data set."""
    shown = torch.cat([batch["input"] for batch in epoch_of(epoch, *overrides, batch_size=10)])
    return shown[epoch_order(0, epoch, len(shown)).argsort()]


def test_both_data_paths_serve_the_same_examples_in_the_same_order() -> None:
    assert same_batches(epoch_of(3), epoch_of(3, "data.in_memory=false"))
    for part in PARTS:
        served = [list(make_batches(*small(path), part, CPU).in_order(7)) for path in IN_MEMORY_OR_NOT]
        assert same_batches(*served)


IN_MEMORY_OR_NOT = ("data.in_memory=true", "data.in_memory=false")


@pytest.mark.parametrize("path", IN_MEMORY_OR_NOT)
def test_an_epoch_holds_every_example_once_in_an_order_of_its_own(path: str) -> None:
    _, data = small()
    for epoch in (0, 1):
        assert torch.equal(in_their_own_order(epoch, path), torch.from_numpy(data.inputs[data.split.train]))
    orders = [tuple(epoch_order(seed, epoch, 60).tolist()) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


@pytest.mark.parametrize("path", IN_MEMORY_OR_NOT)
def test_an_interrupted_epoch_goes_on_where_it_was(path: str) -> None:
    assert same_batches(epoch_of(1, path, "data.max_shift=1")[4:], epoch_of(1, path, "data.max_shift=1", first=4))


@pytest.mark.parametrize("path", IN_MEMORY_OR_NOT)
def test_training_images_are_augmented_anew_in_each_epoch_and_evaluation_sees_them_as_they_are(path: str) -> None:
    config, data = small(path, "data.max_shift=1")
    still, moved = epoch_of(0, path), epoch_of(0, path, "data.max_shift=1")
    assert same_batches(moved, epoch_of(0, path, "data.max_shift=1"))
    assert not any(torch.equal(a["input"], b["input"]) for a, b in zip(still, moved, strict=True))
    assert not torch.equal(*(in_their_own_order(epoch, path, "data.max_shift=1") for epoch in (0, 1)))
    for part in ("validation", "test"):
        served = torch.cat([batch["input"] for batch in make_batches(config, data, part, CPU).in_order(7)])
        assert torch.equal(served, torch.from_numpy(data.inputs[getattr(data.split, part)]))


def test_a_shift_moves_each_image_as_a_whole_and_fills_with_zeros() -> None:
    images = torch.arange(1.0, 1 + 50 * 16).view(50, 1, 4, 4)
    shifted = random_shift(images, 1, generator("a test"))
    seen = set()
    for image, moved in zip(images, shifted, strict=True):
        around = torch.nn.functional.pad(image, [1] * 4)
        windows = {(y, x): around[:, y : y + 4, x : x + 4] for y in range(3) for x in range(3)}
        (place,) = [place for place, window in windows.items() if torch.equal(window, moved)]
        seen.add(place)
    assert len(seen) == 9


def test_fetching_draws_nothing_from_the_generator_that_dropout_draws_from() -> None:
    before = torch.get_rng_state()
    for path in IN_MEMORY_OR_NOT:
        epoch_of(0, path, "data.max_shift=1")
    assert torch.equal(torch.get_rng_state(), before)
