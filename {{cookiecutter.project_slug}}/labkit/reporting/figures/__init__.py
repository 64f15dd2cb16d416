"""The figures of the report, those that `figures:` in config/report.yaml names.

A figure is a function in a file of its own, both of that name. The student's, in the package `figures_package`, come
before those in this folder. modules/figures/learning_curves.py says how one is written. It is drawn for each data set
by itself, unless its file says OVER_DATA_SETS = True.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from labkit.reporting.figures.style import STYLE, Draw, drawable
from labkit.reporting.findings import Findings
from labkit.text import alternatives, file_word

__all__ = ["draw_figures", "drawable"]
PNG_DPI = 200
MOST_DATA_SETS = 6  # with figures of their own


def draw_figures(
    findings: Findings, names: list[str], package: str, width_cm: float, font: str, folder: Path
) -> tuple[dict[str, str], list[str]]:
    """Write every figure as PDF and PNG.

    Returns {file name without suffix: caption}, and a sentence for each name that had nothing to draw.
    """
    captions: dict[str, str] = {}
    not_drawn: list[str] = []
    each = [(block.label, findings.within(block)) for block in findings.blocks[:MOST_DATA_SETS]]
    if len(findings.blocks) > MOST_DATA_SETS:
        not_drawn.append(
            f"figures of each data set are drawn for the first {MOST_DATA_SETS} of {len(findings.blocks)}."
        )
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the reader's own matplotlibrc must not change the report
        matplotlib.rcParams.update({**STYLE, "font.family": _fonts(font)})
        for name in names:
            function = find_function(name, package)
            together = getattr(sys.modules[function.__module__], "OVER_DATA_SETS", False)
            for data, part in [("", findings)] if together else each:
                drawn = function(part, width_cm)
                on = f" on {data}" if data else ""
                if isinstance(drawn, str):
                    not_drawn.append(f"{name}{on}: {drawn}")
                    continue
                for own_name, figure, caption in drawn:
                    file_name = f"{own_name}_{file_word(data)}" if data else own_name
                    if file_name in captions:
                        raise ValueError(
                            f"figures: {name}: there already is a figure {file_name!r}; name it differently"
                        )
                    captions[file_name] = f"On {data}. {caption}" if data else caption
                    _save(figure, folder / file_name)
    return captions, not_drawn


def find_function(name: str, package: str) -> Draw:
    """The function that draws a figure: the student's, or else the one of this folder.

    ValueError if there is no such file, or the file does not hold the function.
    """
    names = {home: _names_in(home) for home in (package, __name__)}
    home = next((home for home, known in names.items() if name in known), None)
    if home is None:
        there = alternatives(name, sorted({name for known in names.values() for name in known}))
        raise ValueError(f"figures: there is no {name}.py in {' or in '.join(map(_folder, names))}; {there}")
    function: Draw | None = getattr(importlib.import_module(f"{home}.{name}"), name, None)
    if function is None:
        raise ValueError(f"figures: {_folder(home)}/{name}.py must hold a function {name}")
    return function


def _names_in(package: str) -> list[str]:
    try:
        folder = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ValueError(f"figures_package: {error}") from error
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
    # By hand: savefig() draws everything twice, and finds its place twice. Without a date and a version, the same runs
    # give the same bytes.
    FigureCanvasPdf(figure).print_pdf(path.with_name(f"{path.name}.pdf"), metadata={"CreationDate": None})
    figure.set_layout_engine("none")  # all is in its place
    figure.dpi = PNG_DPI
    FigureCanvasAgg(figure).print_png(path.with_name(f"{path.name}.png"), metadata={"Software": None})
