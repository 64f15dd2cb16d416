"""The figures of the report, those that `figures:` in config/report.yaml names.

A figure is a function in a file of its own, both of that name. The student's, in the package `figures_package`, come
before those in this folder. modules/figures/learning_curves.py says how one is written. It is drawn for each data set
by itself, unless its file says OVER_DATA_SETS = True.
"""

import importlib
import pkgutil
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import typst
from fontTools import subset
from matplotlib import font_manager
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from labkit.reporting.analysis.findings import MOST_DATA_SETS, Findings
from labkit.reporting.figures.style import STYLE, Draw, drawable
from labkit.text import alternatives, file_word

__all__ = ["draw_figures", "drawable"]
PNG_DPI = 200
PDF_DPI = 300  # of what is no line: the cells of a large matrix
# A page as large as the figure: typst turns a PDF into a picture five times as fast as matplotlib draws it again.
PICTURE = b"#set page(width: auto, height: auto, margin: 0pt)\n#image(sys.inputs.figure)"
MOST_LETTERS = 200  # of what an error says
# No PDF needs these tables, which say how letters join: to cut them down takes half of the time that a font takes. A
# version of fontTools that has no such list cuts them down.
getattr(subset.Options, "_drop_tables_default", []).extend(["GDEF", "GPOS", "GSUB"])


class UsageError(ValueError):
    """Something that the configuration asks for is not there, which is no mistake in a figure."""


@dataclass
class Drawn:
    captions: dict[str, str]  # by file name without suffix
    not_drawn: list[str]  # a sentence for each figure that had nothing to draw, or failed
    failed: dict[str, str]  # the same sentences of those that failed, with their tracebacks


def draw_figures(findings: Findings, names: list[str], package: str, width_cm: float, font: str, folder: Path) -> Drawn:
    """Write every figure as PDF and PNG. A mistake in one costs no other."""
    drawn = Drawn({}, [], {})
    each = [(block.label, part) for block, part in findings.by_data_set]
    if len(findings.blocks) > MOST_DATA_SETS:
        drawn.not_drawn.append(
            f"figures of each data set are drawn for the first {MOST_DATA_SETS} of {len(findings.blocks)}."
        )
    for name in names:
        _home_of(name, package)  # a name that is not there is said before any is drawn
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the reader's own matplotlibrc must not change the report
        matplotlib.rcParams.update({**STYLE, "font.family": _fonts(font)})
        for name in names:
            try:
                _draw(find_function(name, package), name, findings, each, width_cm, folder, drawn)
            except UsageError:
                raise
            except Exception as error:  # a figure is the student's own code: whatever is wrong with it
                said = f"{name}: failed: {type(error).__name__}: {' '.join(str(error).split())[:MOST_LETTERS]}"
                drawn.failed[f"{said}; the traceback is in report.log"] = traceback.format_exc()
    drawn.not_drawn += [f"{sentence}." for sentence in drawn.failed]
    return drawn


def _draw(
    function: Draw,
    name: str,
    findings: Findings,
    each: list[tuple[str, Findings]],
    width_cm: float,
    folder: Path,
    drawn: Drawn,
) -> None:
    together = getattr(sys.modules[function.__module__], "OVER_DATA_SETS", False)
    for data, part in [("", findings)] if together else each:
        made = function(part, width_cm)
        on = f" on {data}" if data else ""
        if isinstance(made, str):
            drawn.not_drawn.append(f"{name}{on}: {made}")
            continue
        for own_name, figure, caption in made:
            file_name = f"{own_name}_{file_word(data)}" if data else own_name
            if file_name in drawn.captions:
                raise UsageError(f"figures: {name}: there already is a figure {file_name!r}; name it differently")
            _save(figure, folder / file_name)
            drawn.captions[file_name] = f"On {data}. {caption}" if data else caption


def find_function(name: str, package: str) -> Draw:
    """The function that draws a figure: the student's, or else the one of this folder.

    ValueError if there is no such file, or the file does not hold the function.
    """
    home = _home_of(name, package)
    function: Draw | None = getattr(importlib.import_module(f"{home}.{name}"), name, None)
    if function is None:
        raise UsageError(f"figures: {_folder(home)}/{name}.py must hold a function {name}")
    return function


def _home_of(name: str, package: str) -> str:
    names = {home: _names_in(home) for home in (package, __name__)}
    home = next((home for home, known in names.items() if name in known), None)
    if home is None:
        there = alternatives(name, sorted({name for known in names.values() for name in known}))
        raise UsageError(f"figures: there is no {name}.py in {' or in '.join(map(_folder, names))}; {there}")
    return home


def _names_in(package: str) -> list[str]:
    try:
        folder = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise UsageError(f"figures_package: {error}") from error
    return [module.name for module in pkgutil.iter_modules(folder.__path__) if module.name != "style"]


def _folder(package: str) -> str:
    return package.replace(".", "/")


def _fonts(font: str) -> list[str]:
    """The font, and the one that sets the letters it lacks. ValueError in a sentence where this machine has no such."""
    known = sorted(set(font_manager.get_font_names()))
    if font not in known:
        raise ValueError(f"figure_font: there is no font {font!r} here; {alternatives(font, known)}")
    return list(dict.fromkeys([font, "DejaVu Sans"]))


def _save(figure: Figure, path: Path) -> None:
    figure.dpi = PDF_DPI
    # By hand: savefig() draws everything twice. Without a date, the same runs give the same bytes.
    FigureCanvasPdf(figure).print_pdf(f"{path}.pdf", metadata={"CreationDate": None})
    png = typst.compile(
        PICTURE,
        root=path.parent,  # type: ignore[arg-type]
        format="png",
        ppi=PNG_DPI,
        sys_inputs={"figure": f"{path.name}.pdf"},
        ignore_system_fonts=True,
    )
    path.with_name(f"{path.name}.png").write_bytes(png)
