"""Reads the file of a table; what is done with its columns stands in table.py."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

EXAMPLES = ("breast_cancer", "diabetes", "iris", "wine")


def read_frame(path: Path, separator: str) -> pd.DataFrame:
    """`scikit-learn/<name>` is an example that scikit-learn brings along. ValueError for what is no table."""
    if path.parent.name == "scikit-learn" and path.name in EXAMPLES:
        bunch = getattr(datasets, f"load_{path.name}")(as_frame=True)
        if path.name == "diabetes":
            return bunch.frame
        return bunch.frame.assign(target=np.array(bunch.target_names)[bunch.target])
    if not path.is_file():
        raise ValueError(f'data.file: there is no file "{path}" in {Path.cwd()}; correct the path')
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep=separator)
    except ImportError as error:
        remedy = "pip install -r env_setup/requirements-data.txt"
        raise ValueError(f"data.file: a Parquet file needs the package pyarrow; run: {remedy}") from error
    except (ValueError, OSError) as error:  # what pandas raises itself are ValueErrors
        reason = str(error).splitlines()[0]
        raise ValueError(f"data.file: {path} cannot be read as a table ({reason}); correct it") from error
    if frame.empty:
        raise ValueError(f"data.file: {path} has no rows; choose another file")
    return frame
