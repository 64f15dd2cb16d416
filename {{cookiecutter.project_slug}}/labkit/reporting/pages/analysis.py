"""analysis.py: a place to ask what the report does not answer. Written once, then it is the reader's own."""

import os
from pathlib import Path

from jinja2 import Template

from labkit.text import one_line


def write_analysis(folder: Path, study: str, target: Path, root: Path) -> None:
    """Into `folder`, for its later place `target`; `root` is the project's."""
    cells = Path(__file__).with_name("analysis.py.jinja").read_text(encoding="utf-8")
    way = Path(os.path.relpath(root, target)).as_posix()
    text = Template(cells, keep_trailing_newline=True).render(study=one_line(study), root=repr(way))
    (folder / "analysis.py").write_text(text, encoding="utf-8", newline="\n")
