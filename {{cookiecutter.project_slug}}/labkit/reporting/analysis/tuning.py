"""The best setting of each model, chosen on validation and reported on test: the table of most theses."""

from dataclasses import dataclass

from labkit.reporting.analysis.blocks import Block
from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.comparisons import Comparison, Pair, compare
from labkit.reporting.analysis.grouping import label_of
from labkit.reporting.analysis.statistics import Estimate
from labkit.reporting.analysis.study_file import StudyFile

MODEL = "model"


@dataclass
class Tuned:
    """One model on one data set."""

    block: dict[str, str]  # {"data": "mnist"}; {} where all runs used the same data
    model: str
    chosen: int  # the setting with the best mean, as a position in results.groups
    setting: str  # what was chosen: "lr=0.01"; empty for a model that has one setting
    trials: int  # settings that were tried, whether or not they have results
    against: Comparison | None  # with the best setting of the baseline, on the test split


def tune(
    results: Results, blocks: list[Block], estimates: list[Estimate], file: StudyFile | None, alpha: float
) -> list[Tuned]:
    """Empty unless some model was tried in several settings."""
    tried = _settings_tried(results)
    baseline = str(file.baseline.get(MODEL)) if file else ""
    rows = []
    for block in blocks:
        best: dict[str, int] = {}
        for i in block.ranking:
            if estimates[i].n:
                best.setdefault(_model(results, i), i)
        for model in sorted(best, key=lambda model: min(i for i in block.groups if _model(results, i) == model)):
            chosen = best[model]
            group = results.groups[chosen]
            against = None
            if results.test_metric and baseline in best and model != baseline:
                pair = Pair(chosen, best[baseline])
                (against,) = compare(results, [pair], alpha, metric=results.test_metric)
            rest = {key: value for key, value in group.settings.items() if key not in (MODEL, *results.blocks)}
            data = results.block_of(group)
            setting = label_of(rest, results.words)
            rows.append(Tuned(data, model, chosen, setting, tried[model, tuple(data.values())], against))
    return rows if any(row.trials > 1 for row in rows) else []


def _model(results: Results, position: int) -> str:
    return str(results.groups[position].config.get(MODEL))


def _settings_tried(results: Results) -> dict[tuple[str, tuple[str, ...]], int]:
    """(model, data) -> how many settings: the best of many is better by chance alone, whatever became of the others."""
    tried = [(_model(results, i), group.settings) for i, group in enumerate(results.groups)]
    known = {run.name for group in results.groups for run in group.runs}
    for name, about in results.about.items():
        if name not in known and MODEL in about:  # without results
            tried.append((str(about[MODEL]), {key: str(about[key]) for key in results.groups[0].settings}))
    found: dict[tuple[str, tuple[str, ...]], set[tuple[str, ...]]] = {}
    for model, settings in tried:
        data = tuple(settings[key] for key in results.blocks)
        found.setdefault((model, data), set()).add(tuple(settings.values()))
    return {key: len(settings) for key, settings in found.items()}
