"""The splits are disjoint and fixed, what is drawn is a function of its position, and both data paths agree."""

import numpy as np
import pytest
import torch
import yaml
from small_runs import CPU, ROOT, SMALL, DataSets, choices, config_of, same_batches, words_for

from modules.config import TrainConfig
from modules.data.augmentation import augment
from modules.data.base import ArrayData, Batch, Data
from modules.data.splits import PARTS
from modules.parts import make_batches, make_data
from modules.randomness import epoch_order, generator

CAME_WITH_THE_PROJECT = ("digits", "synthetic", "shapes", "shapes_labels", "table", "table_regression", "text")


def whole(data: Data, part: str) -> Batch:
    """All examples of a part as one batch, as evaluation sees them."""
    examples = data.part(part)
    return examples.fetch(torch.arange(len(examples)), None)


# ---- every data set that is on this machine


def test_data_that_came_with_the_project_is_here(data_sets: DataSets) -> None:
    """Unless its file in config/data/ is gone, or names a file of your own now."""
    for name in set(CAME_WITH_THE_PROJECT) & set(choices("data")):
        content = yaml.safe_load((ROOT / "config" / "data" / f"{name}.yaml").read_text(encoding="utf-8"))
        assert name in data_sets or not (content.get("file") or "scikit-learn/").startswith("scikit-learn/"), name
    assert {"digits", "synthetic"} <= data_sets.keys()


def test_examples_fit_what_the_data_set_says_of_itself(data_sets: DataSets) -> None:
    for name, (config, data) in data_sets.items():
        facts = data.facts
        for part in (part for part in PARTS if len(data.part(part))):
            batch = next(make_batches(config, data, part, CPU).in_order(4))
            assert {len(tensor) for tensor in batch.values()} == {min(4, len(data.part(part)))}, name
            assert all(tensor.isfinite().all() for tensor in batch.values()), name
            target = batch["target"]
            if "vocabulary" in facts:
                assert 0 <= batch["input"].min() <= batch["input"].max() < facts["vocabulary"], name
                assert batch["input"].shape[1] <= facts["input_shape"][0], name
            elif "input_shape" in facts:
                assert batch["input"].shape[1:] == tuple(facts["input_shape"]), name
                assert batch["input"].dtype == torch.float32, name
            if "class_names" in facts:
                assert target.dtype == torch.int64, name
                assert 0 <= target.min() <= target.max() < len(facts["class_names"]), name
            if "label_names" in facts:
                assert target.shape[1] == len(facts["label_names"]), name
                assert set(target.unique().tolist()) <= {0.0, 1.0}, name
        if "target_scale" in facts:  # of the training part
            target = whole(data, "train")["target"].double()
            assert target.mean().item() == pytest.approx(0, abs=1e-5), name
            assert target.std(correction=0).item() == pytest.approx(1, abs=1e-5), name


def test_every_example_is_in_exactly_one_part_and_no_part_is_empty(data_sets: DataSets) -> None:
    for name, (_, data) in data_sets.items():
        parts = [data.split.part(part) for part in PARTS]
        assert [len(data.part(part)) for part in PARTS] == list(map(len, parts)), name
        assert min(map(len, parts[:2])) > 0, name
        assert len(parts[2]) > 0 or name not in CAME_WITH_THE_PROJECT, name
        together = np.sort(np.concatenate(parts))
        assert (np.diff(together) > 0).all(), name
        if isinstance(data, ArrayData) and data.fraction == 1:
            assert np.array_equal(together, np.arange(len(data.arrays["target"]))), name


def test_every_class_has_the_same_share_of_every_part_of_a_stratified_split(data_sets: DataSets) -> None:
    stratified = []
    for name, (_, data) in data_sets.items():
        if not isinstance(data, ArrayData) or "class_names" not in data.facts:
            continue
        if (data.split_kind, data.fraction, data.folds) == ("stratified", 1, None):
            stratified.append(name)
            targets = data.arrays["target"]
            counts = np.bincount(targets)
            for part in PARTS:
                share = np.bincount(targets[data.split.part(part)], minlength=len(counts))
                assert np.abs(share - counts * share.sum() / counts.sum()).max() <= 1, name
    assert {"digits", "synthetic"} <= set(stratified)


def test_data_and_split_are_the_same_each_time_and_for_every_training_seed(data_sets: DataSets) -> None:
    for name, (config, data) in data_sets.items():
        again = make_data(config_of(*words_for(name, config.system.datasets_dir), "seed=1"))
        assert again.fingerprint == data.fingerprint, name
        assert again.split.fingerprint() == data.split.fingerprint(), name


# ---- how examples are served


def small(*overrides: str) -> tuple[TrainConfig, ArrayData]:
    config = config_of(*SMALL, *overrides)
    data = make_data(config)
    assert isinstance(data, ArrayData)
    return config, data


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
        assert torch.equal(in_their_own_order(epoch, path), torch.from_numpy(data.arrays["input"][data.split.train]))
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
        assert torch.equal(served, torch.from_numpy(data.arrays["input"][data.split.part(part)]))


PIXELS = torch.arange(50 * 16).view(50, 1, 4, 4) + 1
IMAGES = {"input": PIXELS.float(), "target": PIXELS[:, 0]}  # images, and masks with the same content


def test_a_shift_moves_each_image_as_a_whole_with_its_mask_and_fills_with_zeros() -> None:
    shifted = augment(IMAGES, generator("a test"), max_shift=1, flip=False)
    seen = set()
    for image, moved in zip(IMAGES["input"], shifted["input"], strict=True):
        around = torch.nn.functional.pad(image, [1] * 4)
        windows = {(y, x): around[:, y : y + 4, x : x + 4] for y in range(3) for x in range(3)}
        (place,) = [place for place, window in windows.items() if torch.equal(window, moved)]
        seen.add(place)
    assert len(seen) == 9
    assert torch.equal(shifted["target"], shifted["input"][:, 0].long())


def test_a_flip_mirrors_about_half_of_the_images_and_their_masks() -> None:
    flipped = augment(IMAGES, generator("a test"), max_shift=0, flip=True)
    mirrored = [torch.equal(now, before.flip(2)) for before, now in zip(IMAGES["input"], flipped["input"], strict=True)]
    still = [torch.equal(now, before) for before, now in zip(IMAGES["input"], flipped["input"], strict=True)]
    assert 15 < sum(mirrored) < 35
    assert sum(mirrored) + sum(still) == 50
    assert torch.equal(flipped["target"], flipped["input"][:, 0].long())


def test_fetching_draws_nothing_from_the_generator_that_dropout_draws_from() -> None:
    before = torch.get_rng_state()
    for path in IN_MEMORY_OR_NOT:
        epoch_of(0, path, "data.max_shift=1")
    assert torch.equal(torch.get_rng_state(), before)
