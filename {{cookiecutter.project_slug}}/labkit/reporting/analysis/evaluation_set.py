"""How far a metric can be trusted that was measured on so few examples: no number of seeds makes that smaller."""

import math
from collections.abc import Iterable

import numpy as np

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.analysis.study_file import BEST
from labkit.runs.files import PREDICTIONS, PREDICTIONS_LAST
from labkit.runs.json_shapes import is_number
from labkit.text import quantity_of, split_of

USED = ("class", "value", "target")  # of what is kept: probabilities of every class would fill the memory


def evaluation_error(results: Results, metric: str, means: Iterable[float]) -> str:
    """A sentence with the standard error that the choice of the examples gives, or empty where nothing tells it.

    From the predictions of a run where `runs/evaluate.py predictions=true` kept them, for accuracy, RMSE and MAE;
    otherwise the binomial one of an accuracy, the largest of all `means`.
    """
    split = split_of(metric)
    sizes = {run.record["data"]["examples"].get(split) for group in results.groups for run in group.runs}
    size = next(iter(sizes)) if len(sizes) == 1 else None
    if not is_number(size) or size < 1:
        return ""
    error = _from_predictions(results, metric) if split == "test" else None
    source = " by the predictions that were kept"
    if error is None:
        shares = [mean / results.names.factor(metric) for mean in means if math.isfinite(mean)]
        variances = [share * (1 - share) for share in shares if quantity_of(metric) == "accuracy" and 0 < share < 1]
        error = math.sqrt(max(variances, default=0.0) / size)
        source = ""
    if not error:
        return ""
    return (
        f"The interval does not cover the choice of the {size:.0f} {split} examples: by itself it makes the mean "
        f"uncertain by a standard error of up to {results.names.factor(metric) * error:.2g}{source}."
    )


def _from_predictions(results: Results, metric: str) -> float | None:
    """The largest over the first run of each setting that has predictions."""
    name = PREDICTIONS if results.select == BEST else PREDICTIONS_LAST
    errors = []
    for group in results.groups:
        path = next((path for run in group.runs if (path := run.path / name).exists()), None)
        if path is None:
            continue
        try:
            with np.load(path) as kept:
                errors.append(_error(quantity_of(metric), {key: kept[key] for key in kept.files if key in USED}))
        except (OSError, ValueError):  # damaged, or of another kind: the caption does without it
            continue
    found = [error for error in errors if error]
    return max(found) if found else None


def _error(quantity: str, kept: dict[str, Array]) -> float | None:
    """Standard error of the metric over the examples: of a mean, and by the delta method of the root of one."""
    predicted = kept.get("class" if quantity == "accuracy" else "value")
    target = kept.get("target")
    if predicted is None or target is None or predicted.shape != target.shape or target.ndim != 1 or len(target) < 2:
        return None
    if quantity == "accuracy":
        each = (predicted == target).astype(float)
    elif quantity in ("mae", "rmse"):
        each = np.abs(predicted - target) ** (2 if quantity == "rmse" else 1)
    else:
        return None
    error = float(each.std(ddof=1) / math.sqrt(len(each)))
    return error / (2 * math.sqrt(each.mean())) if quantity == "rmse" and error else error
