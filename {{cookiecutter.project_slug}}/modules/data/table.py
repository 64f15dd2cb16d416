"""A table of your own: a CSV or Parquet file with a row for each example and a column to predict."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from pandas.util import hash_pandas_object
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from labkit.text import nearest
from modules.data.base import ArrayData, Loaded
from modules.data.checks import fingerprint_of
from modules.data.table_file import read_frame


@dataclass(kw_only=True)
class Table(ArrayData):
    """Numbers are standardised and categories one-hot encoded, both as the training part has them."""

    file: str
    separator: str
    target: str
    regression: bool
    categorical: list[str]
    leave_out: list[str]
    rare: int
    split_column: str | None

    def load(self) -> Loaded:
        path = Path(self.file)
        frame: Any = read_frame(path, self.separator)  # pandas' types do not say what a column is
        self.frame = frame
        split_columns = [self.split_column] if self.split_column else []
        named = {"target": [self.target], "categorical": self.categorical, "leave_out": self.leave_out}
        for key, columns in {**named, "split_column": split_columns}.items():
            for column in columns:
                if column not in frame:
                    found = f'there is no column "{column}" in {path}{nearest(column, frame.columns)}'
                    hint = "; set data.separator" if frame.shape[1] == 1 else ""
                    raise ValueError(f"data.{key}: {found}; it has {', '.join(map(str, frame.columns[:20]))}{hint}")
                if key in ("target", "split_column") and frame[column].isna().any():
                    rows = np.flatnonzero(frame[column].isna())
                    found = f'"{column}" is missing in {len(rows)} rows, the first is {rows[0]}'
                    raise ValueError(f"data.{key}: {found}; remove them or fill them in")
        self.inputs = [c for c in frame if c not in {self.target, *self.leave_out, *split_columns}]
        target, self.facts = self._target(frame[self.target])
        hashes: Any = hash_pandas_object
        return Loaded(
            arrays={"target": target},
            facts=self.facts,
            fingerprint=fingerprint_of(hashes(frame, index=False).to_numpy(), np.array(frame.columns, str)),
            column=_split_column(frame[self.split_column], self.split_kind) if self.split_column else None,
        )

    def fit(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        train = self.split.train
        target = arrays["target"]
        if self.regression:
            mean = float(target[train].mean())
            scale = float(target[train].std())
            self.facts |= {"outputs": 1, "target_mean": mean, "target_scale": scale}
            target = ((target - mean) / scale).astype(np.float32)
        inputs = self._encoded(train)
        self.facts["input_shape"] = inputs.shape[1:]
        return {"input": inputs, "target": target}

    def _target(self, values: pd.Series) -> tuple[np.ndarray, dict[str, object]]:
        """Numbers (n,), or those of the classes, which are in alphabetical or numerical order; and the facts."""
        levels = values.unique().tolist()
        if len(levels) == 1:
            raise ValueError(f'data.target: "{values.name}" is {levels[0]} in every row; choose another column')
        if self.regression:
            if not types.is_numeric_dtype(values):
                raise ValueError(f'data.target: "{values.name}" holds text; set data.regression=false for classes')
            return values.to_numpy(np.float64), {}
        if len(levels) > max(20, len(values) / 10):
            found = f'"{values.name}" has {len(levels)} values in {len(values)} rows, too many for classes'
            raise ValueError(f"data.target: {found}; set data.regression=true, or choose another column")
        levels = sorted(levels, key=None if types.is_numeric_dtype(values) else str)
        numbers = {level: number for number, level in enumerate(levels)}
        return values.map(numbers).to_numpy(np.int64), {"class_names": [str(level) for level in levels]}

    def _encoded(self, train: np.ndarray) -> np.ndarray:
        """(n, features) float32. What is missing becomes the median with a column that says so, or a category."""
        frame = self.frame[self.inputs]
        numeric = [c for c in self.inputs if types.is_numeric_dtype(frame[c]) and c not in self.categorical]
        categories = [c for c in self.inputs if c not in numeric]
        if not self.inputs:
            raise ValueError("data: no column is left to predict from; correct data.leave_out")
        for column in categories:
            if column not in self.categorical and len(frame) > 20 and frame[column].nunique() == len(frame):
                raise ValueError(f'data: "{column}" holds another text in every row; add it to data.leave_out')
        numbers = frame[numeric].to_numpy(np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            raise ValueError(
                f'data: "{numeric[np.isinf(numbers).any(0).argmax()]}" holds infinite values; correct them'
            )
        texts = frame[categories].astype("string").fillna("(missing)").to_numpy(object)
        rows = pd.concat([pd.DataFrame(numbers), pd.DataFrame(texts, dtype=object)], axis=1, ignore_index=True)
        fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        one_hot = OneHotEncoder(min_frequency=self.rare, handle_unknown="infrequent_if_exist", sparse_output=False)
        of_numbers = ("numbers", make_pipeline(fill, StandardScaler()), slice(0, len(numeric)))
        encoder = ColumnTransformer([of_numbers, ("categories", one_hot, slice(len(numeric), None))])
        return np.asarray(encoder.fit(rows.iloc[train]).transform(rows), np.float32)


def _split_column(values: pd.Series, kind: str) -> np.ndarray:
    if kind != "time" or types.is_numeric_dtype(values):
        return values.to_numpy()
    try:
        return pd.to_datetime(values, format="ISO8601").to_numpy()
    except ValueError as error:
        found = f'"{values.name}" holds moments such as {values.iloc[0]}'
        raise ValueError(f"data.split_column: {found}; write them as 2026-12-31 or 2026-12-31 23:59") from error
