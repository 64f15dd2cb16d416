"""report.html: the report as one offline file, with every run in a list to sort and filter and a curve to point at.

The page is page.html.jinja with page.css and script/ inside, readable without script, and the runs as JSON. Nothing in
it can make the browser ask for another file or run a name as code: its policy allows the one style, the one script and
the pictures inside.
"""

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from labkit.reporting.pages.contents import Contents, each_text, words
from labkit.reporting.pages.page_curves import pack_curves
from labkit.reporting.pages.page_runs import list_runs
from labkit.text import one_line

RUN_LISTS = ("runs", "unfinished")  # tables of runs: the page has its own list of all of them
SCRIPTS = ("data", "view", "filter", "list", "compare", "plot", "pointing", "start")
LONG = 60  # letters of a cell that is set on several lines
MOST_ROWS = 100  # of a table


def write_page(folder: Path, contents: Contents) -> None:
    """Write report.html into the folder that holds figures/; without results it only lists the runs."""
    style, markup = _read("page.css"), _read("page.html.jinja")
    script = "\n".join(_read(f"script/{name}.js") for name in SCRIPTS)
    study, results = contents.study, contents.findings.results if contents.findings else None
    data = each_text(list_runs(study, results), one_line) | pack_curves(study, results)
    environment = Environment(
        autoescape=True, finalize=_clean, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    page = environment.from_string(markup).render(
        **words(contents),
        tables={name: table for name, table in contents.tables.items() if name not in RUN_LISTS},
        figures=[_figure(folder, name) for name in contents.captions],
        long=LONG,
        most_rows=MOST_ROWS,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=_json(data),
    )
    (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _clean(value: Any) -> Any:
    """Every text of the page goes through here before it is escaped; what is markup already is ours."""
    return one_line(value) if type(value) is str else value


def _figure(folder: Path, name: str) -> dict[str, Any]:
    """The picture itself, with the size at which it is as wide as the text."""
    png = (folder / "figures" / f"{name}.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    return {"data": base64.b64encode(png).decode(), "width": round(width / 1.6), "height": round(height / 1.6)}


def _json(content: dict[str, Any]) -> str:
    """JSON that can stand inside a script element: without a < nothing in it ends the element."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(code: str) -> str:
    """What the policy of the page names its one style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
