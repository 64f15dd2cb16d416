"""What the report writes for LaTeX goes through a real pdflatex and lualatex: tables, numbers and the example of a
thesis, for the study of the template, for one whose every name is hostile and for some that are large."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import MAKERS, Bake, succeed
from pypdf import PdfReader

INSTALL = "apt-get install --no-install-recommends texlive-latex-recommended texlive-luatex texlive-science lmodern"
HOSTILE = "_a&b%c#d$e~f^g\\h{i}<j>\"k'l|m\nn é 中 --*[x] `o` ''p,,q ---"
SHOWN = HOSTILE.replace("\n", "\\n").replace("中", "U+4E2D")  # as pdflatex can show it
ENGINES = ("pdflatex", "lualatex")
OVERFULL_PT = 2.0  # a reader sees more

STUDIES = """
import json, sys, yaml
from pathlib import Path
from run_folders import add_run, add_unfinished, change_record
runs, hostile = Path("data/runs"), sys.argv[1]
MEANS = {"linear": 0.95, "net2": 0.97, "net5": 0.92}

def add(study, model, seed, value, **changes):
    value = round(value + 0.002 * (seed * 7 % 5) + 0.001 * ((seed + len(model)) % 3), 4)
    folder = add_run(study, model, seed, value, test=round(value - 0.01, 4), **changes)
    record = json.loads((folder / "run.json").read_bytes())
    for number in range(10):
        record["best"]["metrics"][f"validation/accuracy_class_{number}"] = value - 0.01 * (number * seed % 3)
    record["best"]["metrics"][f"validation/{hostile}"] = value
    record["launches"][0]["host"] = hostile
    if seed:
        record["launches"][0]["packages"] = {hostile: hostile}
    change_record(folder, best=record["best"], launches=record["launches"])

for seed in range(5):
    for model, mean in MEANS.items():
        add(runs / "sweep_models", model, seed, mean)
    for model, ablation in {hostile: hostile, "$x$": "none", "=1+1": "x", "net_2": "net_2", "net-2": "net-2"}.items():
        changes = {"optimizer.name": hostile + model, "ablation": ablation}
        add(runs / hostile, model, seed, 0.9 + len(model) / 1000, **changes)
for study in (runs / "sweep_models", runs / hostile):
    add_unfinished(study, "failed", "net7", 0, reason=" ".join([hostile, "was out of memory. "] * 9))
plan = yaml.safe_load(Path("studies/sweep_models.yaml").read_text("utf-8"))
plan |= {"question": hostile, "hypothesis": hostile, "formal_problem": hostile}
plan |= {"baseline": {"model": "$x$", "ablation": "none"}}
plan |= {"comparisons": [{"model": hostile, "ablation": hostile}]}
Path("studies", hostile + ".yaml").write_text(yaml.safe_dump(plan, allow_unicode=True), "utf-8")
"""

# Studies whose tables would run off the page: {name: (settings, swept keys, classes, what each name begins with)}.
LARGE = """
import json, sys
from pathlib import Path
from run_folders import add_run, add_unfinished, change_record
hostile, long = sys.argv[1], "W" * 700 + "x" * 700
ENDS = ("lr", "decay", "rate", "size")
KEYS = [f"{section}.{end}" for section in ("optimizer", "model", "training") for end in ENDS]

def add(study, settings, keys, classes, prefix):
    for setting in range(settings):
        values = [setting / 8192, *((setting * 7 + place) % 13 / 8192 for place in range(1, keys))]
        changes = {key: f"{prefix}{value}" if prefix else value for key, value in zip(KEYS, values)}
        for seed in range(3):
            value = 0.9 + setting / 1000 + seed * (7 - setting % 5) / 10000
            model = f"{prefix}{setting}" if len(prefix) < 100 else "net2"
            folder = add_run(Path("data/large", study), model, seed, value, test=value, **changes)
            record = json.loads((folder / "run.json").read_bytes())
            metrics = {f"validation/accuracy_class_{k}": value - k * 37 % classes / 200 for k in range(classes)}
            facts = {"class_names": [f"{prefix[:60]} kind {k}" for k in range(classes)]}
            best = record["best"] | {"metrics": record["best"]["metrics"] | metrics}
            change_record(folder, best=best, data=record["data"] | {"facts": facts})
    add_unfinished(Path("data/large", study), "failed", "net7", 0, reason=(prefix or "It was out of memory. ") * 9)

add("settings", 60, 2, 10, "")
add("classes", 7, 1, 100, "")
add("keys", 60, 12, 2, "")
add("hostile", 60, 2, 100, hostile)
add("long", 40, 3, 3, long)
"""

# Everything that the report wrote, with letters that can be read back from the PDF.
ALL = r"""\documentclass{article}
\input{glyphtounicode}\pdfgentounicode=1
\usepackage[T1]{fontenc}\usepackage{lmodern,array,booktabs,longtable}
\usepackage[a2paper,margin=2cm]{geometry}
\input{REPORT/numbers.tex}
\begin{document}
TABLES
\section*{Numbers}
NUMBERS
\end{document}
"""


@pytest.fixture(scope="module")
def project(bake: Bake) -> Path:
    """A generated project with the reports of all studies."""
    if not all(map(shutil.which, ("pdflatex", "lualatex"))):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"pdflatex, lualatex: not found; install with `{INSTALL}`"
        )
    project = bake()
    for studies in (STUDIES, LARGE):
        succeed(sys.executable, "-c", studies, HOSTILE, cwd=project, PYTHONPATH=MAKERS)
    succeed(sys.executable, "runs/report.py", cwd=project)
    places = ("runs_dir=data/large", "reports_dir=data/large_reports")
    succeed(sys.executable, "runs/report.py", *places, "figures=[]", cwd=project)
    places = ("runs_dir=data/large", "reports_dir=data/siunitx_reports", "study=hostile")
    choices = ("table_numbers=siunitx", "table_uncertainty=parentheses")
    succeed(sys.executable, "runs/report.py", *places, *choices, "figures=[]", cwd=project)
    return project


def latex(file: Path, times: int = 1, engine: str = "pdflatex") -> str:
    """What LaTeX said the last time; it must end without an error and run off no page."""
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", file.name]
    said = ""
    for _ in range(times):
        ended = subprocess.run(
            command, cwd=file.parent, capture_output=True, check=False, env={**os.environ, "max_print_line": "9999"}
        )
        said = ended.stdout.decode("utf-8", "replace")
        assert ended.returncode == 0, said[-3000:]
    assert "Undefined control sequence" not in said
    large = re.findall(r"(?:Overfull \\[hv]box \(|Float too large for page by )([\d.]+)pt", said)
    assert max(map(float, large), default=0.0) <= OVERFULL_PT, said
    return said


def letters(file: Path) -> str:
    """All that can be read in a PDF, without the spaces, which say where a line was broken."""
    text = "".join(page.extract_text() for page in PdfReader(file).pages)
    return re.sub(r"\s+", "", text).translate({0x2019: "'", 0x2018: "`"})


def compile_all(report: Path, folder: Path) -> tuple[str, Path]:
    """Every table and every number of a report in one document."""
    tables = sorted((report / "tables").glob("*.tex"))
    names = re.findall(r"^\\newcommand\{(\\[A-Za-z]+)\}", (report / "numbers.tex").read_text("utf-8"), re.MULTILINE)
    assert len(tables) > 5
    assert len(names) > 100
    shutil.copytree(report, folder / "report")
    inputs = "\n\n".join(rf"\noindent\input{{report/tables/{table.name}}}" for table in tables)
    numbers = "\n\n".join(f"{name}{{}}, ${name}$" for name in names)
    file = folder / "all.tex"
    file.write_text(ALL.replace("REPORT", "report").replace("TABLES", inputs).replace("NUMBERS", numbers), "utf-8")
    return latex(file, times=2), folder / "all.pdf"


def test_example_compiles_and_shows_what_the_report_says(project: Path) -> None:
    said = latex(project / "thesis" / "example.tex", times=2)
    shown = letters(project / "thesis" / "example.pdf")
    assert "undefined" not in said
    assert "has no value" not in said
    summary = (project / "data/reports/sweep_models/tables/summary.csv").read_text("utf-8").splitlines()
    for cell in (cell for line in summary[1:] for cell in line.split(",")):
        assert cell.replace(" ", "") in shown
    assert "Theanswerofthestudyissupported" in shown
    for figure in (project / "data/reports/sweep_models/figures").glob("*.pdf"):
        assert f"figures/{figure.name}" in said, f"{figure.name} is not in example.tex"
    for table in (project / "data/reports/sweep_models/tables").glob("*.tex"):
        assert f"tables/{table.name}" in said, f"{table.name} is not in example.tex"


def test_every_table_and_number_compiles_with_hostile_names(project: Path, tmp_path: Path) -> None:
    (report,) = (folder for folder in (project / "data/reports").iterdir() if folder.name != "sweep_models")
    said, pdf = compile_all(report, tmp_path)
    shown, name = letters(pdf), re.sub(r"\s+", "", SHOWN)
    assert shown.count(name) > 10
    assert "??" in shown  # five seeds have no p of sign flips
    assert "PSignFlip" in re.sub(r"\s+", "", said)
    assert "hasnovalue" in re.sub(r"\s+", "", said)


def through_the_macros(project: Path, report: Path, folder: Path, engine: str) -> list[str]:
    """Every table of a report in the floats and lists of thesis/example.tex; returns the names of the tables."""
    preamble = (project / "thesis" / "example.tex").read_text("utf-8").split(r"\begin{document}")[0]
    preamble = re.sub(r"(?<=\\newcommand\{\\report\}\{).*(?=\})", lambda _: report.as_posix(), preamble)
    files = sorted((report / "tables").glob("*.tex"))
    lists = [file.stem for file in files if r"\begin{longtable}" in file.read_text("utf-8")]
    floats = [file.stem for file in files if file.stem not in lists]
    caption = "What a student writes below a table, over some lines of it. " * 6
    body = [rf"\reporttable{{{name}}}{{{caption}}}" for name in floats]
    body += [r"\clearpage", *(rf"\reportlist{{{name}}}" for name in lists)]
    file = folder / "large.tex"
    file.write_text("\n\n".join([preamble, r"\begin{document}", *body, r"\end{document}"]), "utf-8")
    said = latex(file, times=2, engine=engine)
    assert all(f"tables/{name}.tex" in said for name in [*floats, *lists])
    return [*floats, *lists]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("study", ["settings", "classes", "keys", "hostile", "long"])
def test_no_table_of_a_large_study_runs_off_the_page(study: str, engine: str, project: Path, tmp_path: Path) -> None:
    tables = through_the_macros(project, project / "data/large_reports" / study, tmp_path, engine)
    assert {"summary", "summary_test", "comparison", "per_class", "cost", "runs", "unfinished"} < set(tables)


@pytest.mark.parametrize("engine", ENGINES)
def test_columns_of_siunitx_compile_with_the_line_that_the_example_names(
    engine: str, project: Path, tmp_path: Path
) -> None:
    example = project / "thesis" / "example.tex"
    text = example.read_text("utf-8")
    loaded = text.replace(r"% \usepackage{siunitx}", r"\usepackage{siunitx}")
    assert loaded != text
    report = project / "data/siunitx_reports/hostile"
    assert "S[table-format=" in (report / "tables" / "summary.tex").read_text("utf-8")
    example.write_text(loaded, "utf-8")
    try:
        through_the_macros(project, report, tmp_path, engine)
    finally:
        example.write_text(text, "utf-8")


@pytest.mark.parametrize(("study", "name", "count"), [("settings", "summary", 60), ("classes", "per_class", 100)])
def test_a_table_that_is_cut_says_where_the_rest_is(study: str, name: str, count: int, project: Path) -> None:
    tables = project / "data/large_reports" / study / "tables"
    lines = (tables / f"{name}.tex").read_text("utf-8").splitlines()
    shown = sum(line.endswith(r"\\") for line in lines) - 1
    assert 20 < shown < count
    assert f" {shown} of {count} rows: " in lines[1]
    assert lines[1].endswith(f"all are in tables/{name}.csv.")
    for suffix, header in ((".csv", 1), (".md", 2)):
        assert len((tables / f"{name}{suffix}").read_text("utf-8").splitlines()) == count + header


def test_report_of_hostile_names_opens_with_question_and_answer(project: Path) -> None:
    (report,) = (folder for folder in (project / "data/reports").iterdir() if folder.name != "sweep_models")
    first = letters(report / "report.pdf")
    name = re.sub(r"\s+", "", SHOWN)
    assert f"Reportofstudy{name}" in first
    assert f"Question{name.split(chr(92) + 'n')[0]}" in first  # a question may have lines
    assert "SupportedEveryplannedcomparisonshowswhatitclaims" in first
    assert f"•{name}againstnone:supported." in first
