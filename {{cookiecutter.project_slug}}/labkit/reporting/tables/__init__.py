"""Tables to read and to paste, rounded: which there are.

The full precision is in runs.csv, summary.csv and comparisons.csv beside report.pdf: those are for programs, these for
eyes.
"""

from labkit.reporting.analysis.findings import Findings
from labkit.reporting.tables.choices import interaction_table, scores_table, tuned_table
from labkit.reporting.tables.comparisons import ablation_table, comparison_table
from labkit.reporting.tables.costs import cost_table, spent_table, target_table
from labkit.reporting.tables.formats import Table
from labkit.reporting.tables.metrics import per_class_table, summary_table
from labkit.reporting.tables.provenance import data_table, provenance_table
from labkit.reporting.tables.runs import runs_table, unfinished_table
from labkit.runs.study import Study
from labkit.text import file_word


def make_tables(study: Study, findings: Findings | None, parentheses: bool = False) -> dict[str, Table]:
    """{file name without suffix: table}, in the order in which the report shows them. `parentheses`: 0.974(3)."""
    tables: dict[str, Table | None] = {}
    if findings:
        results = findings.results
        tables["summary"] = summary_table(findings, results.metric, parentheses)
        if results.test_metric:
            tables["summary_test"] = summary_table(findings, results.test_metric, parentheses)
        tables["comparison"] = comparison_table(findings)
        tables["ablation"] = ablation_table(findings)
        tables["best_per_model"] = tuned_table(findings, parentheses)
        tables["interaction"] = interaction_table(findings)
        tables["data_sets"] = scores_table(findings)
        for block, part in findings.by_data_set:  # class 1 of one data set is not class 1 of another
            name = f"per_class_{file_word(block.label)}" if block.label else "per_class"
            tables[name] = per_class_table(part, block.label, parentheses)
        tables["cost"] = cost_table(results)
        tables["time_to_target"] = target_table(findings)
        tables["runs"] = runs_table(results)
        _put_best_first(tables, findings)
    tables["cost_of_study"] = spent_table(study)
    tables["unfinished"] = unfinished_table(study)
    if study.ended:
        tables["data"] = data_table(study)
        tables["provenance"] = provenance_table(study)
    return {name: table for name, table in tables.items() if table}


def _put_best_first(tables: dict[str, Table | None], findings: Findings) -> None:
    """Where paper has no room for all rows of a table, it has the baseline and the best."""
    places = {group: place for place, group in enumerate(dict.fromkeys([*findings.baselines, *findings.ranking]))}
    baseline = "the baseline and " if findings.baselines else ""
    best = f"best mean {findings.results.title}"
    for table in filter(None, map(tables.get, ("summary", "summary_test", "cost"))):
        table.order, table.shown = list(places), f"{baseline}those of the {best}"
    for name, comparisons in {"comparison": findings.comparisons, "ablation": findings.ablations}.items():
        if table := tables[name]:
            importance = [(not comparison.planned, places[comparison.group]) for comparison in comparisons]
            table.order = sorted(range(len(importance)), key=importance.__getitem__)
            table.shown = f"what was planned, then the settings of the {best}"
