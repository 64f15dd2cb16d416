"""An audit finds what a text claims and no run stands behind any more, and nothing else."""

import os
from pathlib import Path

import pytest
from labkit.reporting.audit import audit
from labkit.reporting.report import report
from report_studies import add_seeds, report_config, written
from small_runs import ROOT

GOOD = r"""
\documentclass[11pt]{article} % version 1.25 of it
\usepackage[textwidth=14.5cm]{geometry}
\setlength{\parskip}{0.5em}
\newcommand{\report}{../reports/depth}
\input{\report/numbers.tex}
\begin{document}
It reaches \DepthNetTwoValidationAccuracyMean{} (95\,\% $t$ interval) on 1797 images, in Section 3 \cite{he2015}.
\includegraphics[width=0.8\textwidth]{\report/figures/comparison.pdf}
\vspace{1.5cm} \hspace*{0.25\linewidth}
The learning rate was 0.001. % no result
\end{document}
"""


@pytest.fixture
def thesis(study: Path) -> Path:
    """A text beside the report of a study."""
    add_seeds(study, [0.90, 0.91, 0.92])
    add_seeds(study, [0.95, 0.96, 0.97], "net5")
    written(study)
    folder = study.parents[1] / "thesis"
    folder.mkdir()
    (folder / "main.tex").write_text(GOOD, "utf-8")
    return folder


def found(thesis: Path, more: str = "") -> list[str]:
    (thesis / "main.tex").write_text(GOOD + more, "utf-8")
    root = thesis.parent
    return [text.partition("main.tex:")[2] or text for text in audit(thesis, root / "reports", [str(root / "runs")])]


def test_a_text_whose_numbers_are_macros_passes(thesis: Path) -> None:
    assert found(thesis) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("We reach 0.973 on it.", "0.973"),
        (r"That is 97.3\,\% of them.", "97.3"),
        (r"$0.9\pm0.1$", "0.9"),
        (r"up to 12\%", "12"),
    ],
)
def test_a_typed_number_that_looks_like_a_result_is_found(text: str, number: str, thesis: Path) -> None:
    (first, *_) = found(thesis, text)
    assert first.startswith(f"13: the number {number} is typed: ")


def test_a_typed_number_that_is_one_of_the_report_gets_its_macro(thesis: Path) -> None:
    (one,) = found(thesis, "We reach 0.910 on it.")
    assert r"the number 0.910 is typed: \DepthNetTwoValidationAccuracyMean has this value" in one


def test_a_macro_that_has_left_the_report_is_found_with_the_nearest(thesis: Path) -> None:
    (one,) = found(thesis, r"It is \DepthNetTwoValidationAccuracyMeen{}.")
    assert one == (
        r"13: \DepthNetTwoValidationAccuracyMeen is not in numbers.tex; did you mean "
        r'"DepthNetTwoValidationAccuracyMean"?'
    )
    assert found(thesis, r"\newcommand{\DepthOfTheSea}{deep} \DepthOfTheSea") == []


def test_a_report_that_is_older_than_its_runs_is_found(thesis: Path, study: Path) -> None:
    run = next(study.glob("net5*"))
    written_at = (thesis.parent / "reports" / "depth" / ".written").stat().st_mtime
    os.utime(run / "run.json", (written_at + 10, written_at + 10))
    (one,) = found(thesis)
    assert "reports/depth is older than its runs: python runs/report.py study=depth" in one


def test_a_copy_of_a_figure_that_has_changed_since_is_found(thesis: Path) -> None:
    original = thesis.parent / "reports" / "depth" / "tables" / "summary.tex"
    (thesis / "summary.tex").write_bytes(original.read_bytes())
    assert found(thesis, r"\input{summary}") == []
    (thesis / "summary.tex").write_text("0 & old \\\\ % no result\n")
    (one,) = found(thesis, r"\input{summary}")
    assert "summary.tex is not what" in one


def test_the_command_says_how_many_places_there_are_and_fails(
    thesis: Path, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(report_config(study, audit=str(thesis)))
    assert "every number, figure and table comes from a report as it is now" in capsys.readouterr().out
    (thesis / "main.tex").write_text(GOOD + "0.1 and 0.2\n", "utf-8")
    with pytest.raises(ValueError, match=r"audit: 2 places to mend in .*thesis"):
        report(report_config(study, audit=str(thesis)))
    assert capsys.readouterr().out.count("is typed") == 2


@pytest.mark.parametrize(("name", "sentence"), [("nowhere", "there is no"), ("runs", r"there is no \.tex file in")])
def test_a_folder_without_a_text_is_one_sentence(name: str, sentence: str, thesis: Path, study: Path) -> None:
    with pytest.raises(ValueError, match=f"audit: {sentence}"):
        report(report_config(study, audit=str(thesis.parent / name)))


def test_the_example_of_a_thesis_types_no_number(thesis: Path) -> None:
    example = ROOT / "thesis" / "example.tex"
    said = audit(example, thesis.parent / "reports", [str(thesis.parent / "runs")])
    assert [text for text in said if "is typed" in text] == []
