"""The learning curves of report.html: as many metrics and evaluations as a page has room for that opens at once."""

import base64
import math
from typing import Any

import numpy as np
import pandas as pd

from labkit.reporting.analysis.collect import Results
from labkit.runs.study import Study
from labkit.text import one_line, quantity_of, split_of

MOST_DRAWN = 100_000  # values of all curves of a metric; a browser draws so many at once
MOST_KEPT = 500_000  # of all metrics: 2 MB
MOST_OF_RUN = 1000  # a plot is not much wider
NAMED = 5  # of the metrics that are left out


def pack_curves(study: Study, results: Results | None) -> dict[str, Any]:
    """The curves of the runs: `at` holds the position of each run's steps, or None for a run without any."""
    if not results or results.curves.empty:
        nothing: dict[str, Any] = {"at": [None] * len(study.runs), "steps": [], "epochs": [], "thinned": 0}
        return nothing | {"metrics": [], "left_out": ""}
    frame = results.curves.loc[~results.curves.duplicated(["run", "step"], keep="last")]
    rows_of = frame.groupby("run", sort=False).indices
    most = max(2, min(MOST_OF_RUN, MOST_DRAWN // len(rows_of)))
    thinned = {name: _thinned(rows, most) for name, rows in rows_of.items()}
    kept = [thinned.get(run.name) if run.ended else None for run in study.runs]  # a duplicate may share its name
    axes = frame.reindex(columns=["step", "epoch"]).to_numpy(float)
    known: dict[bytes, int] = {}
    at = [None if rows is None else known.setdefault(axes[rows].tobytes(), len(known)) for rows in kept]
    steps, epochs = ([list(map(_short, np.frombuffer(x).reshape(-1, 2)[:, i])) for x in known] for i in (0, 1))
    return {
        "at": at,
        "steps": steps,
        "epochs": [] if any(None in one for one in epochs) else epochs,
        "thinned": most if max(map(len, rows_of.values())) > most else 0,
        **_values(results, frame, np.concatenate([rows for rows in kept if rows is not None])),
    }


def _thinned(rows: np.ndarray, most: int) -> np.ndarray:
    """Every one, or every second, fourth, eighth, so that runs of different lengths keep steps that they share; and the
    last."""
    stride = 1 << max(0, math.ceil(math.log2(len(rows) / most)))
    return rows if stride == 1 else rows[sorted({*range(0, len(rows), stride), len(rows) - 1})]


def _short(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(f"{value:.6g}")


def _values(results: Results, frame: pd.DataFrame, rows: np.ndarray) -> dict[str, Any]:
    """Of each metric the values of all runs, one after the other, as far as they fit; the others are named."""
    metrics: list[dict[str, str]] = []
    left_out: list[str] = []
    for name in _curve_metrics(results):
        label = results.names.label(name)
        if metrics and (len(metrics) + 1) * len(rows) > MOST_KEPT:
            left_out.append(label)
            continue
        values = frame[name].to_numpy(float)[rows]
        if np.isfinite(values).any():
            metrics.append({"name": one_line(name), "title": one_line(label), "values": _packed(values)})
    more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    return {"metrics": metrics, "left_out": one_line(", ".join(left_out[:NAMED]) + more)}


def _curve_metrics(results: Results) -> list[str]:
    """Those of the report, of validation where it is about test, the monitored one, the losses, the others."""
    first = [results.metric, f"validation/{quantity_of(results.metric)}", results.monitor["metric"]]
    there = [name for name in results.curves if "/" in name and split_of(name) != "test"]
    ahead = [name for name in dict.fromkeys(first) if name in there]
    losses = [name for name in there if quantity_of(name) == "loss"]
    return list(dict.fromkeys([*ahead, *losses, *there]))


def _packed(values: np.ndarray) -> str:
    """Four digits of each number in three bytes, the upper ones of its 32 bits: as text it would take twice as much."""
    with np.errstate(over="ignore"):
        bits = values.astype("<f4").view("<u4") + np.uint32(0x80)
    return base64.b64encode(bits.astype("<u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()).decode()
