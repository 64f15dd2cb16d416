r"""`runs/report.py audit=thesis/`: what a text in LaTeX claims that no run stands behind any more.

Numbers that were typed and look like results, macros that have left the report, reports that are older than their runs,
and copies of figures and tables that differ from those of the report. A line that ends with `% no result` is left
alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.reporting.pages.macro_names import to_letters
from labkit.reporting.report import WRITTEN
from labkit.runs.files import RESULT, TEST, TEST_LAST
from labkit.text import nearest, one_line

ALLOWED = re.compile(r"(?<!\\)%\s*no result\s*$")
COMMENT = re.compile(r"(?<!\\)%.*")
MACRO = re.compile(r"\\([A-Za-z]+)")
DEFINED = re.compile(r"\\(?:re)?newcommand\*?\{?\\([A-Za-z]+)\}?(?:\[\d\])?\{([^{}]*)\}|\\def\\([A-Za-z]+)\{([^{}]*)\}")
NUMBERS = re.compile(r"\\newcommand\{\\([A-Za-z]+)\}\{(.*?)\}% ")
USED_FILE = re.compile(r"\\(?:includegraphics|input|include)\*?(?:\[[^\]]*\])?\{([^{}]+)\}")
# Where a number is no result: arguments of commands that set a page, options in brackets, and lengths.
SETTING = re.compile(
    r"\\(?:documentclass|usepackage|setlength|addtolength|vspace|hspace|rule|raisebox|renewcommand|newcommand|def|cite\w*"
    r"|ref|eqref|autoref|cref|label|includegraphics|input|include|url|href|pageref|bibliography\w*|geometry|hypersetup"
    r"|parbox|begin|resizebox|scalebox|linespread|setstretch|fontsize|date|today)\*?(?:\[[^\]]*\])*(?:\{[^{}]*\})*"
)
LEVEL = re.compile(
    r"\d+(?:\.\d+)?\s*(?:\\,|~)?\s*\\%[\s~]*(?:\$t\$|confidence|credible|interval|CI\b)"
)  # of an interval
LENGTH = re.compile(r"-?\d*\.?\d+\s*(?:cm|mm|pt|em|ex|in|bp|sp|\\[a-z]*(?:width|height|skip|sep|size))\b")
TYPED = re.compile(r"(?<![\w.\\])(\d+\.\d+(?!\.\d)|\d+(?:\.\d+)?(?=\s*(?:\\,|~)?\s*\\%))(?![\w.]*\d)")


@dataclass
class _Report:
    """What the text may use of one study."""

    study: str
    folder: Path
    macros: dict[str, str]  # by name: the text that it stands for
    newest_run: float  # when a result of it was written

    @property
    def prefix(self) -> str:
        return to_letters(one_line(self.study))


def audit(folder: Path, reports_dir: Path, runs_dirs: list[str]) -> list[str]:
    """A sentence for each place to mend, in the order of files and lines. ValueError where there is no .tex file."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("[!.]*.tex"))
    files = [path for path in files if reports_dir.resolve() not in path.resolve().parents]
    if not files:
        raise ValueError(f"audit: there is no .tex file in {folder}; name the folder of your text")
    reports = list(_read_reports(reports_dir, runs_dirs))
    texts = {path: path.read_text(encoding="utf-8", errors="replace").splitlines() for path in files}
    own = {name or other: text or rest for lines in texts.values() for name, text, other, rest in _definitions(lines)}
    found: list[str] = []
    used: set[str] = set()
    for path, lines in texts.items():
        if any((report.folder / place / path.name).exists() for report in reports for place in ("", "tables")):
            continue  # a copy of what a report wrote: compared where it is used
        codes = [COMMENT.sub("", line) for line in lines]
        for number, (line, code, following) in enumerate(zip(lines, codes, [*codes[1:], ""], strict=True), 1):
            if ALLOWED.search(line):
                continue
            used |= {report.study for report in reports if _mentions(code, report, own)}
            problems = [*_typed(code, following, reports), *_lost(code, reports, own)]
            problems += _files(code, path, own, reports)
            found += [f"{path.as_posix()}:{number}: {problem}" for problem in problems]
    for report in reports:
        written = report.folder / WRITTEN
        if report.study in used and written.exists() and written.stat().st_mtime < report.newest_run:
            found.append(
                f"{report.folder.as_posix()} is older than its runs: python runs/report.py study={report.study}, "
                "then run LaTeX again"
            )
    return found


def _read_reports(reports_dir: Path, runs_dirs: list[str]) -> Iterator[_Report]:
    for numbers in sorted(reports_dir.glob("*/numbers.tex")):
        study = numbers.parent.name
        macros = dict(NUMBERS.findall(numbers.read_text(encoding="utf-8")))
        results = [
            path
            for place in runs_dirs
            for name in (RESULT, TEST, TEST_LAST)
            for path in (Path(place) / study).glob(f"*/{name}")
        ]
        yield _Report(study, numbers.parent, macros, max((path.stat().st_mtime for path in results), default=0.0))


def _definitions(lines: list[str]) -> list[tuple[str, str, str, str]]:
    return DEFINED.findall("\n".join(COMMENT.sub("", line) for line in lines))


def _mentions(code: str, report: _Report, own: dict[str, str]) -> bool:
    """By one of its macros, or by the path of its folder."""
    place = f"{report.folder.parent.name}/{report.folder.name}"
    return place in _expanded(code, own) or any(name in report.macros for name in MACRO.findall(code))


def _expanded(code: str, own: dict[str, str]) -> str:
    return MACRO.sub(lambda name: own.get(name[1], name[0]), code)


def _typed(code: str, following: str, reports: list[_Report]) -> Iterator[str]:
    """Numbers that look like results: with decimals, or in percent. What a 95 % is may stand in the following line."""
    text = f"{code} {following}"
    for no_result in (SETTING, LEVEL, LENGTH):
        text = no_result.sub(lambda match: " " * len(match[0]), text)
    for match in TYPED.finditer(text, 0, len(code) + 3):
        number = match[1]
        same = [rf"\{name}" for report in reports for name, text in report.macros.items() if text == number]
        use = f"{same[0]} has this value" if same else "no number of a report has this value"
        yield f"the number {number} is typed: {use}; use a macro of numbers.tex, or end the line with % no result"


def _lost(code: str, reports: list[_Report], own: dict[str, str]) -> Iterator[str]:
    """Macros that are called like those of a report, and are in none."""
    known = {name for report in reports for name in report.macros}
    for name in MACRO.findall(code):
        if name not in known and name not in own and any(r.prefix and name.startswith(r.prefix) for r in reports):
            yield rf"\{name} is not in numbers.tex{nearest(name, known)}"


def _files(code: str, path: Path, own: dict[str, str], reports: list[_Report]) -> Iterator[str]:
    """Copies of what a report holds, where the report has changed since."""
    for name in USED_FILE.findall(code):
        written = _expanded(name, own)
        endings = ("", ".tex", ".pdf", ".png")
        copy = next((file for ending in endings if (file := path.parent / (written + ending)).is_file()), None)
        if copy is None or any(report.folder.resolve() in copy.resolve().parents for report in reports):
            continue
        originals = [found for report in reports for found in report.folder.glob(f"*/{copy.name}")]
        if originals and all(found.read_bytes() != copy.read_bytes() for found in originals):
            yield f"{copy.as_posix()} is not what {originals[0].as_posix()} holds now; copy it again"
