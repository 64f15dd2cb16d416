"""Tables beside the summary: the best setting of each model, interactions, and several data sets together."""

from labkit.reporting.analysis.findings import Findings
from labkit.reporting.captions import interaction_caption, scores_caption, tuned_caption
from labkit.reporting.rounding import decimals_for, interval, p_value, percent, rounded
from labkit.reporting.tables.formats import Column, Table
from labkit.reporting.tables.metrics import IN_PARENTHESES, means_and_sds


def tuned_table(findings: Findings, parentheses: bool) -> Table | None:
    """One row per model and data set: chosen on validation, reported on test where it was evaluated."""
    tuned = findings.tuned
    if not tuned:
        return None
    results = findings.results
    chosen = [findings.summary[results.metric][row.chosen] for row in tuned]
    reported = [findings.summary[results.test_metric or results.metric][row.chosen] for row in tuned]
    decimals = decimals_for(estimate.sd for estimate in reported)
    texts: list[Column] = [
        (results.word(key), [results.word(row.block[key]) for row in tuned]) for key in results.blocks
    ]
    texts += [("model", [results.word(row.model) for row in tuned]), ("chosen", [row.setting for row in tuned])]
    numbers: list[Column] = [("tried", [str(row.trials) for row in tuned])]
    if results.test_metric:
        numbers.append((results.label, [rounded(estimate.mean, decimals) for estimate in chosen]))
    mean, *sd = means_and_sds(reported, decimals, parentheses)
    numbers += [
        ("n", [str(estimate.n) for estimate in reported]),
        (results.names.label(results.test_metric or results.metric), mean[1]),
        *sd,
        ("95 % interval", [interval(estimate.low, estimate.high, decimals) for estimate in reported]),
    ]
    differences = [row.against.difference if row.against else None for row in tuned]
    if any(differences):
        places = decimals_for(difference.sd for difference in differences if difference)
        level = f"{percent(1 - findings.alpha)} % interval"
        numbers += [
            ("difference", [rounded(d.mean, places, "+") if d else "" for d in differences]),
            (f"{level} of it", [interval(d.low, d.high, places) if d else "" for d in differences]),
        ]
    return Table.of_columns(texts, numbers, tuned_caption(findings) + (IN_PARENTHESES if parentheses else ""))


def interaction_table(findings: Findings) -> Table | None:
    """One row per pair of values that are not the reference."""
    interactions = findings.interactions
    if interactions is None:
        return None
    results, found = findings.results, interactions.found
    texts = [
        (results.word(interactions.keys[0]), [results.word(one.first) for one in found]),
        (results.word(interactions.keys[1]), [results.word(one.second) for one in found]),
    ]
    decimals = decimals_for(one.difference.sd for one in found)
    numbers = [
        ("n", [str(one.n) for one in found]),
        ("difference of differences", [rounded(one.difference.mean, decimals, "+") for one in found]),
        (
            f"{percent(1 - findings.alpha)} % interval",
            [interval(one.difference.low, one.difference.high, decimals) for one in found],
        ),
    ]
    tests = [
        ("p", [p_value(one.difference.p) for one in found]),
        ("p Holm", [p_value(one.p_holm) for one in found]),
    ]
    numbers += [column for column in tests if any(column[1])]
    return Table.of_columns(texts, numbers, interaction_caption(findings, interactions))


def scores_table(findings: Findings) -> Table | None:
    """One row per method: its mean rank over the data sets, and its interquartile mean."""
    ranks, scores = findings.ranks, findings.scores
    if not ranks and not scores:
        return None
    methods = ranks.methods if ranks else scores.methods if scores else []
    numbers: list[Column] = []
    if ranks:
        numbers.append(("mean rank", [f"{rank:.2f}" for rank in ranks.mean_ranks]))
    if scores:
        places = [scores.methods.index(method) for method in methods]
        low, high = scores.interval
        decimals = decimals_for((high - low) / 4)
        numbers += [
            ("interquartile mean", [rounded(float(scores.mean[i]), decimals) for i in places]),
            ("95 % interval", [interval(float(low[i]), float(high[i]), decimals) for i in places]),
        ]
    return Table.of_columns([("method", methods)], numbers, scores_caption(findings))
