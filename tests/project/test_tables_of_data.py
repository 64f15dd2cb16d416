"""A table of one's own: what becomes of its columns, what is fitted to the training part only, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from modules.data.base import ArrayData
from modules.loading import load_run
from modules.parts import make_data
from small_runs import column, config_of, result, train_small

MODEL = ("model=mlp", "model.hidden_width=8", "training.epochs=3", "system.device=cpu", "system.threads=1")


def houses(rows: int = 120, **columns: Any) -> pd.DataFrame:
    """A table with numbers, text, gaps, and a target that depends on them."""
    random = np.random.default_rng(0)
    size = random.uniform(20, 200, rows)
    place = random.choice(["north", "south", "west"], rows)
    price = 3 * size + 100 * (place == "south") + random.normal(0, 5, rows)
    frame = pd.DataFrame({"size": size, "rooms": random.integers(1, 6, rows), "place": place, "price": price})
    frame.loc[3:7, "size"] = np.nan
    frame.loc[5:6, "place"] = None
    return frame.assign(**columns)


def file_of(tmp_path: Path, frame: pd.DataFrame, name: str = "houses.csv") -> str:
    frame.to_csv(tmp_path / name, index=False)
    return str(tmp_path / name)


def regression_on(path: str, *words: str) -> tuple[str, ...]:
    return ("data=table_regression", f"data.file={path}", "data.target=price", "task=regression", *MODEL, *words)


def data_of(*words: str) -> ArrayData:
    data = make_data(config_of(*words))
    assert isinstance(data, ArrayData)
    return data


def test_a_table_of_ones_own_is_trained_on_by_one_command(tmp_path: Path, runs_dir: Path) -> None:
    words = regression_on(file_of(tmp_path, houses()), "training.epochs=60", "optimizer.lr=0.01", "task.unit=EUR")
    folder = train_small(runs_dir, base=words)
    rmse = {"direction": "min", "title": "RMSE", "unit": "EUR", "bounds": [0, None]}
    assert result(folder)["metrics"]["rmse"] == rmse
    assert result(folder)["monitor"] == {"metric": "validation/rmse", "direction": "min"}
    assert max(column(folder, "validation/r2")) > 0.9
    data = load_run(folder).data
    assert isinstance(data, ArrayData)
    chosen = data.split.validation
    found = load_run(folder).predict(data.arrays["input"][chosen])["value"]
    errors = found - houses()["price"].to_numpy()[chosen]
    rmse = result(folder)["best"]["metrics"]["validation/rmse"]
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(rmse, rel=1e-4)


def test_only_the_training_part_decides_how_columns_are_transformed(tmp_path: Path) -> None:
    data = data_of(*regression_on(file_of(tmp_path, houses()), "data.rare=1"))
    train = data.split.train
    changed = houses()
    others = np.concatenate([data.split.validation, data.split.test])
    changed.loc[others, "size"] = 1e6
    changed.loc[others, "place"] = "elsewhere"
    changed.loc[others, "price"] = -1e6
    again = data_of(*regression_on(file_of(tmp_path, changed, "other.csv"), "data.rare=1"))
    for name, array in data.arrays.items():
        assert (again.arrays[name][train] == array[train]).all()
    assert again.facts == data.facts
    assert again.fingerprint != data.fingerprint
    assert not again.arrays["input"][others, -4:].any()  # an unknown place is none of the known ones


def test_columns_become_numbers_as_documented(tmp_path: Path) -> None:
    data = data_of(*regression_on(file_of(tmp_path, houses()), "data.rare=1"))
    train = data.split.train
    inputs, target = data.arrays["input"], data.arrays["target"]
    assert inputs.dtype == target.dtype == np.float32
    size, rooms, missing = inputs[:, 0], inputs[:, 1], inputs[:, 2]
    for values in (size, rooms, missing, target):
        assert values[train].mean() == pytest.approx(0, abs=1e-6)
        assert values[train].std() == pytest.approx(1, rel=1e-6)
    assert len(np.unique(size[3:8])) == 1  # the median
    assert (missing > 0).nonzero()[0].tolist() == [3, 4, 5, 6, 7]
    places = inputs[:, 3:]  # (missing), north, south, west
    assert (places.sum(1) == 1).all()
    assert (places[:, 0] == 1).nonzero()[0].tolist() == [5, 6]
    assert data.facts["target_mean"] == pytest.approx(houses()["price"][train].mean())
    assert data.facts["target_scale"] == pytest.approx(houses()["price"][train].std(ddof=0))


def test_rare_categories_share_a_column_with_unknown_ones(tmp_path: Path) -> None:
    frame = houses(place=["north", "south"] * 55 + [f"village {k}" for k in range(10)])
    data = data_of(*regression_on(file_of(tmp_path, frame), "data.rare=5"))
    assert data.arrays["input"].shape[1] == 3 + 3
    assert (data.arrays["input"][110:, -1] == 1).all()


def test_both_data_paths_serve_the_same_rows(tmp_path: Path, runs_dir: Path) -> None:
    path = file_of(tmp_path, houses())
    once = train_small(runs_dir, base=regression_on(path))
    batch_by_batch = train_small(runs_dir, base=regression_on(path, "data.in_memory=false"))
    assert (once / "metrics.csv").read_bytes() == (batch_by_batch / "metrics.csv").read_bytes()


def test_classes_have_the_names_of_the_column(tmp_path: Path) -> None:
    for values, names in (
        (["no", "yes"], ["no", "yes"]),
        ([True, False], ["False", "True"]),
        ([10, 9], ["9", "10"]),
        ([1.5, -1.0], ["-1.0", "1.5"]),
    ):
        frame = houses(sold=values * 60)
        path = file_of(tmp_path, frame)
        data = data_of("data=table", f"data.file={path}", "data.target=sold")
        assert data.facts["class_names"] == names
        assert [names[k] for k in data.arrays["target"][:2]] == [str(value) for value in values]


def test_a_patient_and_the_future_stay_in_one_part(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=40).strftime("%Y-%m-%d").repeat(3)
    path = file_of(tmp_path, houses(patient=np.arange(120) // 4, day=days, part=["train"] * 90 + ["test"] * 30))

    def parts(kind: str, of: str) -> list[np.ndarray]:
        words = regression_on(path, f"data.split_kind={kind}", f"data.split_column={of}", "data.leave_out=[day,part]")
        data = data_of(*words)
        assert data.arrays["input"].shape[1] == (7 if of == "patient" else 8)  # the column is no input
        return [data.split.part(part) for part in ("train", "validation", "test")]

    patients = [set((part // 4).tolist()) for part in parts("groups", "patient")]
    assert not patients[0] & patients[1] | patients[0] & patients[2] | patients[1] & patients[2]
    assert [(int(part.min()), int(part.max())) for part in parts("time", "day")] == [(0, 71), (72, 95), (96, 119)]
    train, validation, test = parts("given", "part")
    assert test.tolist() == list(range(90, 120))
    assert (len(train), len(validation)) == (72, 18)  # validation is drawn from the training part


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    houses().to_parquet(tmp_path / "houses.parquet")
    one = data_of(*regression_on(str(tmp_path / "houses.parquet")))
    other = data_of(*regression_on(file_of(tmp_path, houses())))
    assert one.fingerprint == other.fingerprint


HOSTILE: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "no such column": (
        {},
        '^data.target: there is no column "prize" in .*; did you mean "price".*; it has size, rooms',
        ("data.target=prize",),
    ),
    "no such column to leave out": ({}, '^data.leave_out: there is no column "x"', ("data.leave_out=[x]",)),
    "a target with one value": ({"price": 3}, '^data.target: "price" is 3 in every row', ()),
    "a target of text": ({"price": "dear"}, '^data.target: "price" is dear in every row', ()),
    "targets missing": (
        {"price": [1.0, None, 2.0] * 40},
        '^data.target: "price" is missing in 40 rows, the first is 1; remove them',
        (),
    ),
    "an identifier": (
        {"name": [f"house {k}" for k in range(120)]},
        '^data: "name" holds another text in every row.*add it to data.leave_out',
        (),
    ),
    "infinite": ({"size": [np.inf, 1.0] * 60}, '^data: "size" holds infinite values', ()),
    "no column left": ({}, "^data: no column is left", ("data.leave_out=[size,rooms,place]",)),
    "a date of another country": (
        {"day": ["31.12.2026", "1.1.2027"] * 60},
        '^data.split_column: "day" holds moments such as 31.12.2026; write them as 2026-12-31',
        ("data.split_kind=time", "data.split_column=day"),
    ),
    "classes of numbers": (
        {},
        '^data.target: "price" has 120 values in 120 rows, too many for classes',
        ("data.regression=false",),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_that_cannot_be_used_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    columns, message, words = HOSTILE[name]
    with pytest.raises(ValueError, match=message):
        data_of(*regression_on(file_of(tmp_path, houses(**columns)), *words))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r'^data.file: there is no file ".*houses.csv" in .*; correct the path'),
        (b"", "cannot be read as a table .No columns to parse"),
        (b"size,price\n", "has no rows"),
        (b'a,b\n"1,2\n', "cannot be read as a table"),
        (b"a,b\n\xff\xfe,1\n", "cannot be read as a table"),
        (b"size;price\n1;2\n3;4\n", r'there is no column "price" in .*; it has size;price; set data\.separator'),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "houses.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        data_of(*regression_on(str(path)))


def test_a_table_that_was_edited_is_not_finished_already(tmp_path: Path, runs_dir: Path) -> None:
    path = file_of(tmp_path, houses())
    words = regression_on(path)
    folder = train_small(runs_dir, base=words)
    assert list(result(folder)["data"]["files"]) == [Path(path).as_posix()]
    file_of(tmp_path, houses(rooms=1))
    with pytest.raises(ValueError, match=r"houses\.csv"):
        train_small(runs_dir, base=words)
