"""The split is fixed, the order and the augmentation are functions of their position, and both data paths agree."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from labkit.build import build
from modules.data.augmentation import augment
from modules.data.base import Batch, Data, Examples, MappedExamples, TensorExamples
from modules.data.batches import Batches
from modules.data.checks import check
from modules.data.conversion import converted
from modules.data.other_splits import given_split, group_split, time_split
from modules.data.prepare import PrepareConfig, prepare
from modules.data.sources import Synthetic
from modules.data.splits import PARTS, Split, stratified_split
from modules.parts import make_data
from modules.randomness import epoch_order, generator, key
from small_runs import CPU, config_of, same_bits, train_small, weights

TARGETS = np.arange(100) % 4


def synthetic(**changes: object) -> Synthetic:
    options: dict[str, object] = {"examples": 100, "input_shape": [1, 4, 4], "classes": 4, "noise": 1.0}
    options |= {"generation_seed": 0, "in_memory": True, "max_shift": 1, "flip": False, "normalise": False}
    options |= {
        "split_kind": "stratified",
        "split_seed": 0,
        "validation_fraction": 0.2,
        "test_fraction": 0.2,
        "fraction": 1.0,
        "folds": None,
    }
    return build(
        "data",
        {"_target_": "modules.data.sources.Synthetic", "folds": None, "fold": 0, **options, **changes},
        Synthetic,
    )


def batches_of(data: Data, seed: int = 0, workers: int = 0) -> Batches:
    return Batches(data.part("train"), seed=seed, device=CPU, workers=workers)


def in_memory(**changes: object) -> Batches:
    return batches_of(synthetic(**changes))


def from_loader(workers: int = 0, **changes: object) -> Batches:
    return batches_of(synthetic(in_memory=False, **changes), workers=workers)


def epoch_of(batches: Batches, epoch: int, batch_size: int = 8, first: int = 0) -> list[Batch]:
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


def test_both_data_paths_serve_the_same_batches_in_the_same_order() -> None:
    assert same_bits(epoch_of(in_memory(), 3), epoch_of(from_loader(), 3))
    assert same_bits(list(in_memory().in_order(7)), list(from_loader().in_order(7)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool", "float16"])
def test_both_data_paths_serve_the_same_bytes_for_every_type(dtype: str) -> None:
    values = (np.arange(60) / 7).astype(dtype)
    arrays = {"input": values[:, None], "target": values}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    held, mapped = TensorExamples(tensors), MappedExamples(arrays, np.arange(60))
    batches = [Batches(examples, seed=0, device=CPU, workers=0) for examples in (held, mapped)]
    assert same_bits(epoch_of(batches[0], 0), epoch_of(batches[1], 0))


def test_evaluation_sees_every_example_once_and_unchanged() -> None:
    data = synthetic()
    for batches in (in_memory(), from_loader()):
        served = list(batches.in_order(7))
        assert [len(batch["target"]) for batch in served] == [7] * 8 + [4]
        whole = torch.from_numpy(data.arrays["input"][data.split.train])
        assert torch.equal(torch.cat([batch["input"] for batch in served]), whole)


def test_an_epoch_can_be_entered_in_the_middle() -> None:
    for batches in (in_memory(), from_loader()):
        whole = epoch_of(batches, 1)
        rest = epoch_of(batches, 1, first=4)
        assert len(whole) == 7
        assert same_bits(whole[4:], rest)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # torch forks its workers
def test_the_number_of_workers_changes_nothing() -> None:
    assert same_bits(epoch_of(from_loader(), 0), epoch_of(from_loader(workers=2), 0))


def test_both_data_paths_end_with_the_same_weights(runs_dir: Path) -> None:
    random = ("model.dropout=0.5", "data.max_shift=1", "data.flip=true")
    first = train_small(runs_dir, "data.in_memory=true", *random)
    second = train_small(runs_dir, "data.in_memory=false", *random)
    assert first != second
    assert same_bits(weights(first), weights(second))


# ---- the augmentation


def test_a_shift_moves_each_image_as_a_whole_and_its_mask_with_it_and_fills_with_zeros() -> None:
    images = torch.arange(1.0, 1 + 3 * 16).view(3, 1, 4, 4)
    batch = {"input": images, "target": images[:, 0].long()}
    shifted = augment(batch, generator(0), max_shift=1, flip=False)
    down, right = torch.randint(0, 3, (2, 3), generator=generator(0)) - 1
    for image, moved, dy, dx in zip(images[:, 0], shifted["input"][:, 0], down.tolist(), right.tolist(), strict=True):
        for y in range(4):
            for x in range(4):
                inside = 0 <= y + dy < 4 and 0 <= x + dx < 4
                assert moved[y, x] == (image[y + dy, x + dx] if inside else 0)
    assert torch.equal(shifted["target"], shifted["input"][:, 0].long())


def test_a_flip_mirrors_about_half_of_the_images_and_their_masks() -> None:
    images = torch.rand(200, 1, 2, 3)
    flipped = augment({"input": images, "target": images[:, 0]}, generator(0), max_shift=0, flip=True)
    mirrored = torch.isclose(flipped["input"], images.flip(3)).flatten(1).all(1)
    assert 70 < int(mirrored.sum()) < 130
    assert torch.equal(flipped["input"][~mirrored], images[~mirrored])
    assert torch.equal(flipped["target"], flipped["input"][:, 0])


@pytest.mark.parametrize("in_memory", [True, False])
def test_normalised_channels_have_mean_0_and_deviation_1_in_the_training_part(in_memory: bool) -> None:
    words = ("data=shapes", "data.examples=60", "data.normalise=true", f"data.in_memory={in_memory}")
    data, raw = (make_data(config_of(*words, *more)) for more in ((), ("data.normalise=false",)))
    batches, before = ({part: every(of.part(part)) for part in ("train", "test")} for of in (data, raw))
    deviation, mean = torch.std_mean(before["train"]["input"].double(), correction=0)
    for part, batch in batches.items():
        assert torch.allclose(batch["input"], ((before[part]["input"] - mean) / deviation).float(), atol=1e-5)
        assert torch.equal(batch["target"], before[part]["target"])


def every(examples: Examples) -> Batch:
    return examples.fetch(torch.arange(len(examples)), None)


def test_tokens_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match=r"^data\.normalise: inputs hold torch\.int64, which has no mean"):
        make_data(config_of("data=text", "data.normalise=true"))


def test_what_is_drawn_for_a_batch_depends_on_seed_epoch_and_its_number_only() -> None:
    for serve in (in_memory, from_loader):
        first = epoch_of(serve(), 0)
        assert same_bits(epoch_of(serve(), 0), first)
        assert same_bits(epoch_of(serve(), 0, first=3), first[3:])
        unmoved = epoch_of(serve(max_shift=0), 0)
        assert not any(torch.equal(moved["input"], still["input"]) for moved, still in zip(first, unmoved, strict=True))


def test_fetching_leaves_the_generator_of_the_training_steps_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    for batches in (in_memory(), from_loader()):
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
    with pytest.raises(ValueError, match=r'^datasets: "digit" is not one of digits, .*mnist; did you mean "digits"\?$'):
        prepare(PrepareConfig(["digits", "digit"], str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


SPLIT = stratified_split(TARGETS, 0, 0.2, 0.2)
IMAGES = np.random.RandomState(0).rand(100, 1, 4, 4).astype(np.float32)
FOUR = {"class_names": ["a", "b", "c", "d"]}
PIXELS = np.random.RandomState(0).randint(0, 4, (100, 4, 4))


@pytest.mark.parametrize(
    ("arrays", "facts", "answer"),
    [
        ({"target": TARGETS - 1}, FOUR, "labels run from -1 to 2, and 4 classes need 0 to 3; renumber them"),
        ({"target": TARGETS + 1}, FOUR, "labels run from 1 to 4, and 4 classes need 0 to 3; renumber them"),
        ({"target": TARGETS * 0}, FOUR, 'every example is of class "a": there is nothing to learn; correct the data'),
        ({"target": TARGETS / 2}, FOUR, "target holds float64; the number of a class is an integer: convert it"),
        (
            {"input": np.full_like(IMAGES, np.nan)},
            FOUR,
            "input holds NaN or infinite values in 100 examples",
        ),
        ({"input": np.full_like(IMAGES, 3)}, FOUR, "every input value is 3: there is nothing to learn from"),
        ({}, {"class_names": ["a"]}, "there must be at least 2 classes, not 1"),
        (
            {"target": PIXELS + 200},
            FOUR,
            "labels run from 200 to 203, and 4 classes need 0 to 3; renumber them, and",
        ),
        ({"target": PIXELS * 0 - 100}, FOUR, "every target is -100, which means no label"),
    ],
)
def test_what_cannot_be_learned_is_refused_by_name(arrays: dict[str, np.ndarray], facts: dict, answer: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"data: {answer}")):
        check({"input": IMAGES, "target": TARGETS} | arrays, SPLIT, facts, all_in_memory=True)


def test_what_a_reader_should_know_is_warned_of() -> None:
    def warnings(**arrays: np.ndarray) -> list[str]:
        return check({"input": IMAGES, "target": TARGETS} | arrays, SPLIT, FOUR, all_in_memory=True)

    assert warnings() == []
    (bright,) = warnings(input=IMAGES * 255)
    assert re.fullmatch(r"data: pixels run from 0\.\d+ to 25\d\.?\d*; networks learn better from 0 to 1: .*", bright)
    rare = np.where(np.isin(np.arange(100), SPLIT.test) & (TARGETS == 3), 2, TARGETS)
    (lacking,) = warnings(target=rare)
    assert lacking.startswith("data: the test part has no example of d; means over classes")
    assert warnings(target=np.where(PIXELS == 1, -100, PIXELS)) == []  # what has no label lacks nothing
    doubled = IMAGES.copy()
    doubled[SPLIT.test[:2]] = doubled[SPLIT.train[0]]
    assert warnings(input=doubled) == ["data: 2 of 20 test examples are in the training part as well"]


def test_digits_are_the_same_from_memory_and_from_the_disk(datasets: Path) -> None:
    def digits(in_memory: str) -> Data:
        return make_data(config_of("data=digits", f"data.in_memory={in_memory}", f"system.datasets_dir={datasets}"))

    held, mapped = digits("true"), digits("false")
    for part, size in {"train": 1079, "validation": 359, "test": 359}.items():
        whole = torch.arange(size)
        assert isinstance(mapped.part(part), MappedExamples)
        assert same_bits(held.part(part).fetch(whole, None), mapped.part(part).fetch(whole, None))
    assert held.facts["input_shape"] == (1, 8, 8)


# ---- what a prepare function may return


INPUTS = np.arange(24, dtype=np.float64).reshape(6, 4)
NAMES = ["cat", "dog"]
RIGHT = [0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(
    "targets",
    [
        np.array(RIGHT, np.float32),
        np.array(RIGHT, np.int32),
        np.array(RIGHT, ">i4"),
        np.array(RIGHT, bool),
        np.array(RIGHT)[:, None],
        np.eye(2)[RIGHT],
        np.array(NAMES)[RIGHT],
        [NAMES[k] for k in RIGHT],
        RIGHT,
    ],
)
def test_targets_that_can_only_mean_one_thing_are_converted(targets: object) -> None:
    inputs, numbers, names = converted("x", INPUTS, targets, np.array(NAMES))
    assert (inputs.dtype, numbers.dtype, names) == (np.float32, np.int64, NAMES)
    assert numbers.tolist() == RIGHT


def test_bytes_of_pixels_become_numbers_from_0_to_1() -> None:
    inputs, _, _ = converted("x", np.array([[0, 255]] * 2, np.uint8), [0, 1], NAMES)
    assert inputs.tolist() == [[0, 1]] * 2


@pytest.mark.parametrize(
    ("inputs", "targets", "answer"),
    [
        (INPUTS, RIGHT[:5], "there are 6 inputs and 5 targets; give one target each"),
        (INPUTS[:0], [], "inputs have the shape (0, 4); they need a row for each example"),
        (INPUTS[:, 0], RIGHT, "inputs have the shape (6,); they need a row for each example"),
        (INPUTS.astype(str), RIGHT, "inputs hold <U32; make them numbers"),
        (INPUTS * np.nan, RIGHT, "inputs holds NaN or infinite values in 6 examples, the first is 0"),
        (INPUTS, [0, 1, 1, 0, 0, 2], "targets run from 0 to 2, and 2 classes need 0 to 1; renumber them"),
        (INPUTS, [0, 1, 1, 0, 0, 0.5], "targets hold float64 that are no class numbers"),
        (INPUTS, ["cat", "dog", "cat", "cat", "cat", "cow"], "targets hold 'cow', which is none of the class names"),
        (INPUTS, np.ones((6, 2)), "targets are rows of 0 and 1 with several ones; that is multi-label"),
        (INPUTS, np.ones((6, 3)), "targets have the shape (6, 3); they need one class for each example: (n,)"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_the_array(inputs: object, targets: object, answer: str) -> None:
    with pytest.raises(ValueError, match=re.escape(answer)):
        converted("x", inputs, targets, NAMES)


@pytest.mark.parametrize("content", ["[]", "{}", "null", "not json"])
def test_a_dataset_json_with_other_content_is_damaged(tmp_path: Path, content: str) -> None:
    prepare(PrepareConfig(["digits"], str(tmp_path)))
    (tmp_path / "digits" / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match="the data set is damaged"):
        make_data(config_of("data=digits", f"system.datasets_dir={tmp_path}"))


# ---- other splits


def test_a_group_is_in_one_part_only() -> None:
    patients = np.repeat(np.arange(20), 5)
    split = group_split(patients, 0, 0.2, 0.2)
    parts = [set(patients[split.part(name)].tolist()) for name in PARTS]
    assert [len(part) for part in parts] == [12, 4, 4]
    assert set.union(*parts) == set(range(20))


def test_the_newest_examples_are_the_test_and_one_moment_stays_together() -> None:
    times = np.random.RandomState(0).permutation(np.arange(100) // 3)
    split = time_split(times, 0.2, 0.2)
    newest = [(times[split.part(name)].min(), times[split.part(name)].max()) for name in PARTS]
    assert newest[0][1] < newest[1][0] <= newest[1][1] < newest[2][0]


def test_a_column_may_give_the_parts_and_a_strange_word_in_it_is_named() -> None:
    split = given_split(["train", "test", "validation", "train"], np.zeros(4), 0, 0.2)
    assert [split.part(name).tolist() for name in PARTS] == [[0, 3], [2], [1]]
    published = given_split(["train"] * 40 + ["test"] * 4, np.arange(44) % 4, 0, 0.2)
    assert published.test.tolist() == [40, 41, 42, 43]
    assert np.bincount(published.validation % 4).tolist() == [2] * 4  # drawn from the training part, of each class
    assert len(published.train) == 32
    with pytest.raises(ValueError, match="the split column holds 'dev'; it may hold train, validation, test"):
        given_split(["train", "dev"], np.zeros(2), 0, 0.2)


def test_folds_cover_all_but_the_test_part_once() -> None:
    folds = [synthetic(folds=5, fold=k).split for k in range(5)]
    assert len({split.test.tobytes() for split in folds}) == 1
    covered = np.sort(np.concatenate([split.validation for split in folds]))
    assert covered.tolist() == sorted(set(range(100)) - set(folds[0].test.tolist()))
    assert {split.kind for split in folds} == {"fold"}
    with pytest.raises(ValueError, match=r"^data.fold: must be 0 to data.folds - 1"):
        synthetic(folds=5, fold=5)


def test_a_fraction_of_the_training_part_is_nested_and_leaves_the_others_alone() -> None:
    whole, half, tenth = (synthetic(fraction=share).split for share in (1.0, 0.5, 0.1))
    assert [len(split.train) for split in (whole, half, tenth)] == [60, 30, 6]
    assert set(tenth.train.tolist()) < set(half.train.tolist()) < set(whole.train.tolist())
    assert whole.test.tolist() == tenth.test.tolist()


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        (([0, 1], [1, 2], [3]), "1 examples are in the split twice"),
        (([0, 1, 1], [2], [3]), "1 examples are in the split twice"),
        (([], [1], [2]), "the train part is empty"),
        (([0], [], [2]), "the validation part is empty"),
        (([-1, 0], [1], [2]), "an index below 0"),
    ],
)
def test_a_split_that_overlaps_or_is_empty_is_refused(parts: tuple[list[int], ...], answer: str) -> None:
    train, validation, test = (np.array(part, np.int64) for part in parts)
    with pytest.raises(ValueError, match=answer):
        Split(train, validation, test)
