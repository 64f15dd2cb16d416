"""A dated line in docs/lab_notebook.md for every sweep and every report, whatever came out."""

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit.runs.json_shapes import is_number
from labkit.runs.provenance import git_state
from labkit.text import one_line

NOTEBOOK = Path("docs/lab_notebook.md")
ARCHIVE = Path("BUNDLE.md")  # what is in an archive of a study stays as it is


def note_runs(study: str, overrides: Iterable[str], runs: Sequence[tuple[str, Mapping[str, Any] | None]]) -> None:
    """What this command's runs came to; no line if it says itself where they go: that was a trial."""
    if not any(word.lstrip("+").startswith("system.runs_dir=") for word in overrides):
        note(study, shlex.join(["python", f"runs/{Path(sys.argv[0]).name}", *sys.argv[1:]]), came_to(runs))


def came_to(runs: Sequence[tuple[str, Mapping[str, Any] | None]]) -> str:
    """Of each run its status and its run.json: "5 of 6 finished, 1 diverged; validation/accuracy 0.95 to 0.97"."""
    count = Counter(status for status, _ in runs)
    finished = f"{count.pop('finished', 0)} of {len(runs)} finished"
    counts = ", ".join([finished, *(f"{n} {status}" for status, n in count.items())])
    metrics = {record["monitor"]["metric"] for _, record in runs if record}
    if len(metrics) != 1:
        return counts
    (metric,) = metrics
    values = [record["best"]["metrics"].get(metric) for _, record in runs if record]
    numbers = [value for value in values if is_number(value)]
    return f"{counts}; {metric} {min(numbers):.4g} to {max(numbers):.4g}" if numbers else counts


def note(about: str, command: str, outcome: str) -> None:
    """Appends the outcome, unless the last line `about` the same says the same.

    A project without the notebook wants no lines. A notebook that cannot be written is a warning.
    """
    if not NOTEBOOK.exists() or ARCHIVE.exists():
        return
    state = git_state()
    commit = f"commit {state['commit'][:7]}" if state["commit"] else "no commit"
    changed = " with changes" if state["dirty"] else ""
    ending = one_line(f"{about}: {outcome}") + "\n"
    line = f"- {datetime.now():%Y-%m-%d %H:%M}, {commit}{changed}, `{one_line(command)}`. {ending}"
    try:
        text = NOTEBOOK.read_text(encoding="utf-8")
        lines = [old for old in text.splitlines(keepends=True) if f". {about}: " in old]
        if not lines or not lines[-1].endswith(f". {ending}"):
            with NOTEBOOK.open("a", encoding="utf-8", newline="\n") as file:
                file.write(line if text.endswith("\n") or not text else f"\n{line}")
    except (OSError, UnicodeDecodeError) as error:
        print(f"warning: {NOTEBOOK}: has no line about this: {error}", file=sys.stderr)
