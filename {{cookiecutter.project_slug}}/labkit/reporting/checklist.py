"""checklist.md and checklist.tex: what reviewers ask, answered with evidence where the runs know it.

The questions are those of the NeurIPS paper checklist and of the ACM artifact badges. What only the author knows, such
as limitations and ethics, stays [TODO].
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from labkit.reporting.analysis.findings import Findings
from labkit.reporting.captions import from_to, mean_interval
from labkit.reporting.rounding import three_digits
from labkit.reporting.tables.costs import total_spent
from labkit.reporting.tables.formats import escape_markdown
from labkit.reporting.tables.latex import escape_latex
from labkit.runs.provenance import ROOT, proof_of_study_file
from labkit.runs.spent import spent
from labkit.text import counted

NEURIPS, ACM = "NeurIPS paper checklist", "ACM artifact badges"


@dataclass
class Item:
    """One question, and what is known."""

    title: str
    yes: list[str]  # sentences of evidence
    todo: list[str]  # what is missing, or only the author can say

    @property
    def ticked(self) -> bool:
        return bool(self.yes) and not self.todo


def make_checklist(findings: Findings, study_files: Path) -> dict[str, list[Item]]:
    """The questions of each list, in its order."""
    code, setting, statistics = _code(findings), _setting(findings), _statistics(findings)
    plan, compute = _plan(findings, study_files), _compute(findings)
    ours = "only the author can say"
    return {
        NEURIPS: [
            Item(
                "1. Claims", plan.yes, [*plan.todo, "check that abstract and introduction claim what the answer says"]
            ),
            Item("2. Limitations", [], [ours]),
            Item("3. Theory assumptions and proofs", [], [ours]),
            Item("4. Experimental result reproducibility", code.yes + setting.yes, code.todo + setting.todo),
            Item("5. Open access to data and code", code.yes, [*code.todo, "name where code and data can be had"]),
            Item("6. Experimental setting and details", setting.yes, setting.todo),
            Item("7. Experiment statistical significance", statistics.yes, statistics.todo),
            Item("8. Experiments compute resources", compute.yes, compute.todo),
            Item("9. Code of ethics", [], [ours]),
            Item("10. Broader impacts", [], [ours]),
            Item("11. Safeguards", [], [ours]),
            Item(
                "12. Licenses for existing assets", [], ["name the license and the source of each data set and model"]
            ),
            Item("13. New assets", _files("LICENSE", "README.md"), ["describe what is new, and how it may be used"]),
            Item("14. Crowdsourcing and research with human subjects", [], [ours]),
            Item("15. Institutional review board approvals", [], [ours]),
            Item("16. Declaration of LLM usage", [], [ours]),
        ],
        ACM: [
            Item("Artifacts available", [], ["put code, data and runs into an archive with a DOI"]),
            Item("Artifacts evaluated: functional", _files("README.md", "tests") + code.yes, code.todo),
            Item("Artifacts evaluated: reusable", _files("LICENSE", "env_setup/requirements.txt"), []),
            Item("Results reproduced", [], ["let somebody else run it, and name who and when"]),
        ],
    }


def to_markdown(checklist: dict[str, list[Item]]) -> str:
    lines = []
    for name, items in checklist.items():
        lines += [f"## {name}", ""]
        for item in items:
            lines.append(f"- [{'x' if item.ticked else ' '}] **{item.title}**")
            lines += [f"  - {escape_markdown(text)}." for text in item.yes]
            lines += [f"  - [TODO] {escape_markdown(text)}." for text in item.todo]
        lines.append("")
    return "\n".join(lines)


def to_latex(checklist: dict[str, list[Item]]) -> str:
    r"""For \input into an appendix."""
    lines = []
    for name, items in checklist.items():
        lines += [rf"\subsection*{{{name}}}", r"\begin{description}"]
        for item in items:
            said = " ".join(f"{escape_latex(text)}." for text in item.yes)
            todo = " ".join(rf"\textbf{{[TODO]}} {escape_latex(text)}." for text in item.todo)
            answer = r"\textbf{[Yes]} " if item.ticked else ""
            lines.append(rf"  \item[{escape_latex(item.title)}] {answer}{said} {todo}".rstrip())
        lines.append(r"\end{description}")
    return "\n".join([*lines, ""])


def _code(findings: Findings) -> Item:
    """Which code ran, and whether it is all in git."""
    study = findings.results.study
    launches = [launch for run in study.ended for launch in run.record["launches"]]
    item = Item(
        "code", [f"each of {counted(len(study.ended), 'run')} keeps its configuration, its seeds and its command"], []
    )
    commits = {launch["git"]["commit"] for launch in launches}
    versions = {launch["code_id"] for launch in launches}
    if None in commits:
        item.todo.append("some runs name no commit: commit the code, then run them again")
    else:
        item.yes.append(f"every run names its commit: {_few(commits)}")
    changed = [launch for launch in launches if launch["git"]["dirty"]]
    if changed:
        item.yes.append(f"{len(changed)} of {len(launches)} launches had uncommitted changes, which their folders keep")
    if len(versions) > 1:
        item.todo.append(f"the runs used {len(versions)} versions of the code: say what changed, or run them again")
    packages = {run.packages_id for run in study.ended}
    if len(packages) > 1:
        item.todo.append(f"the runs used {len(packages)} sets of packages: say which, or run them again")
    else:
        item.yes.append("all runs used the same packages, and keep their versions")
    return item


def _setting(findings: Findings) -> Item:
    """Data, splits, hyper-parameters and how they were chosen."""
    results = findings.results
    item = Item("setting", [], [])
    for block in findings.blocks:
        runs = [run for i in block.groups for run in results.groups[i].runs]
        found = {(run.record["data"]["name"], run.record["data"]["fingerprint"]) for run in runs}
        name = block.label or next(iter(found))[0]
        if len(found) > 1:
            item.todo.append(f"the data {name} was not the same in all runs")
        else:
            item.yes.append(
                f"the data {name} was the same in all runs, by its fingerprint; the table of data has the splits"
            )
    swept = ", ".join(map(results.word, results.varying)) or "nothing"
    item.yes.append(
        f"all hyper-parameters are in the tables of runs and of shared settings; varied: {swept} "
        f"({counted(len(results.groups), 'setting')}), of each run the {results.select} evaluation"
    )
    if results.test_metric:
        item.yes.append("the test split was read by runs/evaluate.py alone, after training, and chose nothing")
    return item


def _statistics(findings: Findings) -> Item:
    results = findings.results
    counts = [estimate.n for estimate in findings.summary[results.metric]]
    item = Item("statistics", [], [])
    if min(counts) < 3:
        item.todo.append(f"some settings have fewer than 3 {results.repetition}s, hence no interval: run more")
    else:
        item.yes.append(f"error bars: {mean_interval(results)}; n = {from_to(counts)}")
    if len(set(counts)) > 1:
        item.todo.append(f"the settings have unequal numbers of {results.repetition}s")
    if findings.comparisons:
        item.yes.append("differences have t intervals, and p values corrected for their number, as the captions say")
    return item


def _plan(findings: Findings, study_files: Path) -> Item:
    """Whether the question was written before the runs."""
    file, name = findings.file, findings.results.study.name
    if file is None:
        return Item("plan", [], [f"write studies/{name}.yaml before the runs of the next study"])
    proof, missing = proof_of_study_file(
        study_files / f"{name}.yaml", [run.record for run in findings.results.study.ended]
    )
    return Item("plan", [proof] if proof else [], [missing] if missing else [])


def _compute(findings: Findings) -> Item:
    study = findings.results.study
    total = total_spent(spent(study))
    launches = [launch for run in study.ended for launch in run.record["launches"]]
    seconds = [run.record["cost"]["wall_s"] for run in study.ended]
    item = Item("compute", [], [])
    for key, what in (("cpu", "CPU"), ("gpu", "GPU")):
        if kinds := {str(launch[key]) for launch in launches if launch.get(key)}:
            item.yes.append(f"{what}: {_few(kinds)}")
    item.yes.append(f"a run took {three_digits(sum(seconds) / len(seconds))} s of wall time on average")
    item.yes.append(
        f"the whole study took {three_digits(total.cpu_hours)} CPU-hours and {three_digits(total.gpu_hours)} "
        f"GPU-hours, failed and repeated runs included"
    )
    return item


def _files(*names: str) -> list[str]:
    return [f"{name} is there" for name in names if (ROOT / name).exists()]


def _few(names: Iterable[object]) -> str:
    """The first three of them."""
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return f"{', '.join(ordered[:3])}{more}"
