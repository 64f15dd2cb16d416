"""Tables to read and to paste, rounded: which there are.

The full precision is in runs.csv, summary.csv and comparisons.csv beside report.pdf: those are for programs, these for
eyes.
"""

from labkit.reporting.findings import Findings
from labkit.reporting.tables.choices import interaction_table, scores_table, tuned_table
from labkit.reporting.tables.comparisons import ablation_table, comparison_table
from labkit.reporting.tables.costs import cost_table
from labkit.reporting.tables.formats import Table
from labkit.reporting.tables.metrics import per_class_table, summary_table
from labkit.reporting.tables.provenance import data_table, provenance_table
from labkit.reporting.tables.runs import runs_table, unfinished_table
from labkit.runs.study import Study
from labkit.text import file_word

MOST_DATA_SETS = 6  # with tables of their own


def make_tables(study: Study, findings: Findings | None) -> dict[str, Table]:
    """{file name without suffix: table}, in the order in which the report shows them."""
    tables: dict[str, Table | None] = {}
    if findings:
        results = findings.results
        tables["summary"] = summary_table(findings, results.metric)
        tables["summary_test"] = summary_table(findings, results.test_metric) if results.test_metric else None
        tables["comparison"] = comparison_table(findings)
        tables["ablation"] = ablation_table(findings)
        tables["best_per_model"] = tuned_table(findings)
        tables["interaction"] = interaction_table(findings)
        tables["data_sets"] = scores_table(findings)
        for block in findings.blocks[:MOST_DATA_SETS]:  # class 1 of one data set is not class 1 of another
            name = f"per_class_{file_word(block.label)}" if block.label else "per_class"
            tables[name] = per_class_table(findings.within(block), block.label)
        tables["cost"] = cost_table(results)
        tables["runs"] = runs_table(results)
    tables["unfinished"] = unfinished_table(study)
    if study.ended:
        tables["data"] = data_table(study)
        tables["provenance"] = provenance_table(study)
    return {name: table for name, table in tables.items() if table}
