"""Who differs from whom by how much, as tables to read and as rows in full precision."""

from collections.abc import Callable
from typing import Any

from labkit.reporting.analysis.comparisons import Comparison
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.grouping import ABLATION, Group, as_text, beside, seed_text
from labkit.reporting.captions import ablation_caption, comparison_caption
from labkit.reporting.rounding import decimals_for, interval, p_value, percent, rounded
from labkit.reporting.tables.formats import Column, Table, settings_columns

SHOWN_ELSEWHERE = ("p", "sign-flip p", "sign-flip p Holm")  # of an ablation: in comparisons.csv


def comparison_table(findings: Findings) -> Table | None:
    """One row per comparison; what is the same in all rows is in the caption, what is blank in all is left out."""
    comparisons, groups = findings.comparisons, findings.results.groups
    if not comparisons:
        return None
    told_apart = [
        ("against", [groups[comparison.against].label for comparison in comparisons]),
        ("kind", ["planned" if comparison.planned else "exploratory" for comparison in comparisons]),
        ("claim", [comparison.claim for comparison in comparisons]),
        ("test", [comparison.method for comparison in comparisons]),
    ]
    texts = [column for column in told_apart if len(set(column[1])) > 1]
    return _table(findings, comparisons, texts, comparison_caption)


def ablation_table(findings: Findings) -> Table | None:
    """One row per named ablation: what it changes, and by how much that changes the metric."""
    ablations, groups = findings.ablations, findings.results.groups
    if not ablations:
        return None
    changes = [_changes(groups[ablation.group], groups[ablation.against]) for ablation in ablations]
    return _table(findings, ablations, [("changes", changes)], ablation_caption, without=SHOWN_ELSEWHERE)


def comparison_rows(findings: Findings) -> list[dict[str, Any]]:
    """Every comparison and every ablation in full precision; the planned ones on the test split as well."""
    metric = findings.results.metric
    parts = [("comparison", metric, findings.comparisons), ("ablation", metric, findings.ablations)]
    if test_metric := findings.results.test_metric:
        parts.append(("comparison", test_metric, findings.on_test))
    return [
        _row(findings, comparison, metric) | {"table": table}
        for table, metric, comparisons in parts
        for comparison in comparisons
    ]


def _row(findings: Findings, comparison: Comparison, metric: str) -> dict[str, Any]:
    groups, difference = findings.results.groups, comparison.difference
    factor = findings.results.names.factor(metric)
    own, other = groups[comparison.group].settings, groups[comparison.against].settings
    columns = {
        "metric": metric,
        "planned": comparison.planned,
        "method": comparison.method,
        "n": comparison.n[0],
        "n_against": comparison.n[1],
        "difference": difference.mean / factor,
        "sd": difference.sd / factor,
        "low": difference.low / factor,
        "high": difference.high / factor,
        "confidence": 1 - findings.alpha,
        "claim": comparison.claim,
        "p": comparison.p,
        "p_holm": comparison.p_holm,
        "p_all_pairs": comparison.p_all_pairs,
        "p_sign_flip": comparison.p_sign_flip,
        "p_sign_flip_holm": comparison.p_sign_flip_holm,
        "improvement_probability": comparison.better,
        "wins": comparison.wins,
        "ties": comparison.ties,
        "losses": comparison.losses,
        "seeds_of_one_only": " ".join(map(seed_text, comparison.alone)),
    }
    return beside(own | {f"against.{key}": value for key, value in other.items()}, columns)


def _table(
    findings: Findings,
    comparisons: list[Comparison],
    texts: list[Column],
    caption: Callable[[Findings, list[str]], str],
    without: tuple[str, ...] = (),
) -> Table:
    groups = findings.results.groups
    settings = settings_columns([groups[comparison.group] for comparison in comparisons])
    differences = [comparison.difference for comparison in comparisons]
    decimals = decimals_for(difference.sd for difference in differences)
    level = percent(1 - findings.alpha)
    numbers = [
        ("n", [_seeds(*comparison.n) for comparison in comparisons]),
        ("difference", [rounded(difference.mean, decimals, "+") for difference in differences]),
    ]
    where_known = [
        (f"{level} % interval", [interval(d.low, d.high, decimals) for d in differences]),
        ("p", [p_value(comparison.p) for comparison in comparisons]),
        ("p Holm", [p_value(comparison.p_holm) for comparison in comparisons]),
        ("p all pairs", [p_value(comparison.p_all_pairs) for comparison in comparisons]),
        ("sign-flip p", [p_value(comparison.p_sign_flip) for comparison in comparisons]),
        ("sign-flip p Holm", [p_value(comparison.p_sign_flip_holm) for comparison in comparisons]),
        ("P(better)", [rounded(comparison.better, 2) for comparison in comparisons]),
        ("wins/ties/losses", [_outcome(comparison) for comparison in comparisons]),
    ]
    numbers += [(header, cells) for header, cells in where_known if any(cells) and header not in without]
    said = caption(findings, [header for header, _ in numbers])
    return Table.of_columns([*settings, *texts], numbers, said, (0, len(settings)))


def _seeds(own: int, other: int) -> str:
    return str(own) if own == other else f"{own}, {other}"


def _outcome(comparison: Comparison) -> str:
    return "" if comparison.wins is None else f"{comparison.wins}/{comparison.ties}/{comparison.losses}"


def _changes(group: Group, against: Group) -> str:
    """dropout 0.1 → 0: the keys in which two settings differ; a name that differs stands for its section."""
    keys = [key for key in dict.fromkeys([*against.config, *group.config]) if key != ABLATION]
    differing = [key for key in keys if _text(group, key) != _text(against, key)]
    named = {key.removesuffix(".name") for key in differing if key.endswith(".name")}
    shown = [key for key in differing if key in named or key.split(".", 1)[0] not in named]
    return "; ".join(f"{key} {_text(against, key) or 'none'} → {_text(group, key) or 'none'}" for key in shown)


def _text(group: Group, key: str) -> str:
    return as_text(group.config[key]) if key in group.config else ""
