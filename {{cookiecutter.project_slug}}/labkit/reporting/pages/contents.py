"""What a report says, once for every page that shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.reporting.analysis.answer import Verdict, seed_range
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.study_file import StudyFile
from labkit.reporting.captions import selection_rule
from labkit.reporting.tables.formats import Table
from labkit.runs.study import Study
from labkit.text import BETTER


@dataclass
class Contents:
    """All that a report is made of."""

    study: Study
    file: StudyFile | None  # what was asked
    findings: Findings | None  # None: no run has results
    tables: dict[str, Table]  # by file name, in the order in which they are shown
    captions: dict[str, str]  # of the figures, by file name
    not_drawn: list[str]  # why a figure is missing
    warnings: list[str]


def words(contents: Contents) -> dict[str, Any]:
    """What a page says beside its tables, as the runs wrote it: each page cleans and escapes what it shows."""
    results = contents.findings.results if contents.findings else None
    return {
        "study": contents.study.name,
        "counts": contents.study.counts(),
        "asked": _asked(contents.file),
        "answer": _answer(contents),
        "published": contents.findings.published if contents.findings else [],
        "metric": results.metric if results else None,
        "title": results.label if results else None,
        "better": BETTER[results.direction] if results else None,
        "repeated_over": results.repeated_over if results else None,
        "rule": selection_rule(results) if results else None,
        "varying": list(map(results.word, results.varying)) if results else [],
        "constant": [tuple(map(results.word, pair)) for pair in results.constant.items()] if results else [],
        "warnings": contents.warnings,
        "captions": contents.captions,
        "not_drawn": contents.not_drawn,
    }


def each_text(content: Any, change: Callable[[str], str]) -> Any:
    """The content with every text in it changed, but for the keys of dictionaries."""
    if isinstance(content, dict):
        return {key: each_text(value, change) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [each_text(value, change) for value in content]
    return change(content) if isinstance(content, str) else content


def _asked(file: StudyFile | None) -> dict[str, list[str]]:
    """What the study's file says, in lines."""
    if file is None:
        return {}
    texts = {"Question": file.question, "Hypothesis": file.hypothesis, "Formal problem": file.formal_problem}
    return {name: text.strip().splitlines() for name, text in texts.items()}


def _answer(contents: Contents) -> dict[str, Any]:
    """Without an answer the word is empty, and the sentence says why."""
    if contents.findings and (answer := contents.findings.answer):
        verdicts = [_verdict(verdict, contents.findings.results.repetition) for verdict in answer.verdicts]
        return {"word": answer.word, "sentence": answer.sentence, "verdicts": verdicts}
    return {"word": "", "sentence": _why_no_answer(contents), "verdicts": []}


def _why_no_answer(contents: Contents) -> str:
    if contents.file is None:
        return (
            f"What was asked is not written down. A file studies/{contents.study.name}.yaml with the question, the "
            "baseline and the planned comparisons would be answered here; studies/sweep_models.yaml is an example."
        )
    if contents.findings is None:
        return "No answer yet: no run has results."
    results = contents.findings.results
    asked = results.names.title(contents.file.metric)
    return f"No answer here: the study asks about {asked}, this report is about {results.title}."


def _verdict(verdict: Verdict, repetition: str) -> dict[str, str]:
    sentences = [verdict.why]
    if verdict.confirmed:
        sentences.append(f"On the test split, which chose nothing, {verdict.confirmed}")
    if verdict.unequal:
        sentences.append(f"Unequal between the two: {', '.join(verdict.unequal)}")
    if verdict.needed.seeds:
        seeds = f"{verdict.needed.seeds} seeds per setting ({seed_range(verdict.needed)})"
        sentences.append(f"80 % power for the smallest difference that matters needs {seeds}")
    else:
        sentences.append(f"How many {repetition}s 80 % power would need cannot be told from these runs")
    return {"name": verdict.name, "word": verdict.word, "why": ". ".join(sentences) + "."}
