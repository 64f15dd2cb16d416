r"""A table as LaTeX that fits a text of 14 cm: names and headers break where they are too wide, rows are few enough.

A float is at most as high as a page with its caption; a list goes on over pages as a longtable. thesis/example.tex has
the macros for both.
"""

import functools
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from labkit.reporting.tables.formats import BREAK, MOST_ROWS, Table, breakable, cut, with_one_column
from labkit.text import one_line, shortened

# What LaTeX reads as a command or, at the start of a row, as an option of \\.
LATEX = {char: "\\" + char for char in "_&%#${}"} | {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", '"': r"\char34{}", "`": r"\textasciigrave{}"},
    **{"[": "{[}", "*": "{*}", "±": r"$\pm$", "†": r"$^{\dagger}$", "→": r"$\to$", BREAK: r"\allowbreak{}"},
    **{"\N{HORIZONTAL ELLIPSIS}": r"\dots{}"},
}
ESCAPES = str.maketrans(LATEX)
# Letters up to U+017F that its usual fonts lack, and the hyphen that does not show.
NOT_IN_LATEX = "\u00ad\u0126\u0127\u0138\u013f\u0140\u0149\u0166\u0167\u017f"
# In em, the size of the font: generous, as the widths of letters are.
FLOAT, LIST = 39.0, 42.5  # 14 cm in \small and in \footnotesize of a thesis in 11 points
GAP = 1.25  # between two columns
LEAST = 6.0  # of a column that breaks
LONGEST_WORD = 12  # letters of a header that are not broken
BOLD = 1.17
DAGGER = r"\rlap{$^{\dagger}$}"  # hangs beside the column: the digits stay below each other
PLAIN_NUMBER = re.compile(r"([-+]?)(\d+)(?:\.(\d+))?(?:\((\d+)\))?")
NUMBER_IN_TEXT = re.compile(r"(?<![\w.{])[-+]?(\d+\.\d+|\d{4,})(e[-+]?\d+)?(\(\d+\))?(?![\w.}])")
S_OPTIONS = "table-text-alignment=right,table-number-alignment=right,detect-weight,mode=text,retain-explicit-plus"
NARROW, WIDE, USUAL, CAPITAL = 0.4, 1.03, 0.56, 0.77
MOST_SHRUNK = 1.5  # times as wide as the page a float may be: it is shrunk
MOST_CELL_LINES = 15  # a longer text is cut in the middle
MOST_LINES = 37  # of a float


@dataclass(frozen=True)
class _Layout:
    """Of each column: how wide it is in em, whether its cells break, and whether its header does."""

    widths: list[float]
    cells_break: list[bool]
    header_breaks: list[bool]
    siunitx: bool
    formats: list[str]  # of a column of siunitx; empty: it is none


def fitting(name: str, table: Table) -> Table:
    """The table with as many of its rows as a page has room for; lists keep all. Too many settings are one column."""
    most_wide = (1.0 if table.long else MOST_SHRUNK) * _room(table)
    if sum(_lay_out(table).widths) > most_wide:
        table = with_one_column(table)
    if table.long:
        return table
    most = min(MOST_ROWS, len(table.rows))
    shown = cut(name, table, most)
    while most > 1 and (lines := _lines(shown)) > MOST_LINES:
        most = max(1, min(most - 1, most * MOST_LINES // lines))
        shown = cut(name, table, most)
    return shown


def to_latex(table: Table, siunitx: bool = False) -> str:
    r"""A tabular for \input, or a longtable for a list that may be longer than a page. `siunitx`: with its columns."""
    layout = _lay_out(table, siunitx)
    packages = r"\usepackage{booktabs} \usepackage[T1]{fontenc}"
    if any(layout.cells_break):
        packages += r" \usepackage{array}"
    if siunitx:
        packages += r" \usepackage{siunitx}"
    columns = range(len(table.header))
    lines = [rf"{' & '.join(_cell(table, layout, i, j) for j in columns)} \\" for i in range(len(table.rows))]
    kind = "longtable" if table.long else "tabular"
    before = []
    if table.long:
        packages += r" \usepackage{longtable}"
        # By itself a longtable begins where there is room for one line below its header.
        first = f"{_lines(replace(table, rows=table.rows[:1])) + 3}\\baselineskip"
        before = [rf"\par\vskip0pt plus{first}\penalty-200\vskip0pt plus-{first}"]
        lines = [r"\endhead", r"\bottomrule", r"\endfoot", *lines]
    else:
        lines.append(r"\bottomrule")
    return "\n".join(
        [
            f"% {packages}",
            f"% {one_line(table.caption)}",
            *before,
            rf"\begin{{{kind}}}{{@{{}}{''.join(_alignment(table, layout, j) for j in columns)}@{{}}}}",
            r"\toprule",
            rf"{' & '.join(_header(table, layout, j) for j in columns)} \\",
            r"\midrule",
            *lines,
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _lay_out(table: Table, siunitx: bool = False) -> _Layout:
    """As wide as the cells and headers are, if all of that fits. If not, headers break, and if that is not enough,
    texts do; what needs less than the others keeps its width."""
    texts, room = table.text_columns, _room(table)
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.header)
    cells = [max(map(_ems, column), default=0) * (1 if i < texts else BOLD) for i, column in enumerate(columns)]
    headers = list(map(_ems, table.header))
    words = [max(map(_ems, _words(header))) for header in table.header]
    widths = _shared(list(map(max, cells, words)), list(map(max, cells, headers)), room)
    if sum(widths) > room:
        small = [min(cells[i], LEAST) if table.long else max(min(cells[i], 2 * LEAST), words[i]) for i in range(texts)]
        widths = _shared(small + widths[texts:], widths, room)
    return _Layout(
        widths=widths,
        cells_break=[i < texts and cells[i] > widths[i] for i in range(len(cells))],
        header_breaks=[headers[i] > widths[i] for i in range(len(cells))],
        siunitx=siunitx,
        formats=[_format(column) if siunitx and i >= texts else "" for i, column in enumerate(columns)],
    )


def _format(cells: Sequence[str]) -> str:
    """2.3 for numbers with two digits before the point and three behind it; empty where a cell is something else."""
    numbers = [PLAIN_NUMBER.fullmatch(cell) for cell in cells if cell]
    if not numbers or not all(numbers):
        return ""
    signs, whole, decimals, uncertainty = (
        [(number[part] or "") if number else "" for number in numbers] for part in range(1, 5)
    )
    longest = {"whole": whole, "decimals": decimals, "uncertainty": uncertainty}
    digits = {name: max(map(len, texts)) for name, texts in longest.items()}
    sign = "+" if "+" in signs else "-" if "-" in signs else ""
    behind = f"({digits['uncertainty']})" if digits["uncertainty"] else ""
    return f"{sign}{digits['whole']}.{digits['decimals']}{behind}"


def _room(table: Table) -> float:
    """For the columns together."""
    return (LIST if table.long else FLOAT) - GAP * (len(table.header) - 1)


def _words(header: str) -> list[str]:
    return re.split(rf"[ {BREAK}]", breakable(header, LONGEST_WORD))


def _shared(least: list[float], most: list[float], room: float) -> list[float]:
    """Widths between the two that fill the room: the widest ones give way, down to one and the same width."""
    widths = least
    for level in np.arange(0.0, max(most) + 0.1, 0.1):
        higher = [min(high, max(low, float(level))) for low, high in zip(least, most, strict=True)]
        if sum(higher) > room:
            break
        widths = higher
    return widths


def _lines(table: Table) -> int:
    """How high a table is."""
    layout = _lay_out(table)

    def height(row: list[str]) -> int:  # a line that breaks at words is not full
        lines = (1.15 * _ems(text) / width for text, width in zip(row, layout.widths, strict=True))
        return min(max(map(math.ceil, lines)), MOST_CELL_LINES)

    heights = [height(row) if any(layout.cells_break) else 1 for row in table.rows]
    return height(table.header) + sum(heights)


def _alignment(table: Table, layout: _Layout, column: int) -> str:
    if layout.formats[column]:
        return f"S[table-format={layout.formats[column]},{S_OPTIONS}]"
    if column >= table.text_columns:
        return "r"
    if not layout.cells_break[column]:
        return "l"
    return rf">{{\raggedright\arraybackslash}}p{{{_share(table, layout, column)}}}"


def _header(table: Table, layout: _Layout, column: int) -> str:
    text = table.header[column]
    if not layout.header_breaks[column]:
        return f"{{{escape_latex(text)}}}" if layout.formats[column] else escape_latex(text)
    if column >= table.text_columns:
        width, side = rf"{layout.widths[column]:.2f}em", "left"
    else:  # in a column that breaks, \linewidth is that of the column
        width, side = r"\linewidth" if layout.cells_break[column] else _share(table, layout, column), "right"
    box = rf"\parbox[b]{{{width}}}{{\ragged{side} {_broken(text, layout.widths[column])}}}"
    return f"{{{box}}}" if layout.formats[column] else box


def _share(table: Table, layout: _Layout, column: int) -> str:
    return rf"{layout.widths[column] / (LIST if table.long else FLOAT):.3f}\linewidth"


def _cell(table: Table, layout: _Layout, row: int, column: int) -> str:
    cell = table.rows[row][column]
    if layout.formats[column]:
        return _aligned_cell(table, row, column)
    if column >= table.text_columns:
        text = NUMBER_IN_TEXT.sub(r"\\num{\g<0>}", escape_latex(cell)) if layout.siunitx else latex_number(cell)
    else:
        text = _broken(cell, layout.widths[column]) if layout.cells_break[column] else escape_latex(cell)
    text = rf"\textbf{{{text}}}" if (row, column) in table.bold else text
    return text + DAGGER if (row, column) in table.daggers else text


def _aligned_cell(table: Table, row: int, column: int) -> str:
    """What stands in a column of siunitx, which reads numbers and nothing else."""
    cell = table.rows[row][column]
    if not cell:
        return "{}"
    text = rf"\bfseries {cell}" if (row, column) in table.bold else cell
    return f"{text} {{{DAGGER}}}" if (row, column) in table.daggers else text


def _broken(text: str, width: float) -> str:
    """A place to break wherever the text needs one: after punctuation, and in a word that is wider than the column."""
    text = _plain(text)
    if (lines := _ems(text) / width) > MOST_CELL_LINES:
        text = shortened(text, int(len(text) * MOST_CELL_LINES / lines))
    letters = max(1, int(width / WIDE))
    words = re.split(rf"([ {BREAK}])", breakable(text, len(text)))
    return escape_latex("".join(breakable(word, letters) if _ems(word) > width else word for word in words))


@functools.lru_cache(10_000)
def _ems(text: str) -> float:
    """The width of a text in the usual fonts, and a bit more."""
    exponent = 1.4 * bool(re.search(r"\de[-+]?\d", text))  # 10 and a small number above
    return sum(map(_em, _plain(text))) + exponent


@functools.cache
def _em(char: str) -> float:
    if char in "fijlrt.,:;'!|()[]I- ":
        return NARROW
    if char in "MW%@\u2026":
        return WIDE
    if char in "mwG=+~<>^$&OQ":
        return 0.86
    return CAPITAL if char.isupper() else USUAL


def latex_number(text: str) -> str:
    """Numbers with the signs of mathematics: a minus is no hyphen."""
    text = re.sub(r"([-+]?)([\d.]+)e([-+]?)0*(\d+)", r"$\1\2\\cdot10^{\3\4}$", escape_latex(text))
    return re.sub(r"(?<![\w$.{^])([-+])(?=\d)", r"$\1$", text).replace("{+", "{")


def escape_latex(text: str) -> str:
    """Text that pdflatex sets as it is; a letter that its fonts lack becomes U+4E2D."""
    text = _plain(text).translate(ESCAPES)
    text = re.sub(r"([-',])(?=\1)", r"\1{}", text)  # no ligature
    return re.sub(r"^ | $|(?<= ) ", r"\\ ", text)  # every space counts


def _plain(text: str) -> str:
    """On one line, with U+4E2D in the place of a letter that the fonts lack."""
    if text.isascii() and text.isprintable():  # nearly every text is
        return text
    text = unicodedata.normalize("NFC", one_line(text))
    return "".join(char if char in LATEX or _in_latex(char) else f"U+{ord(char):04X}" for char in text)


def _in_latex(char: str) -> bool:
    return " " <= char <= "\u017f" and char not in NOT_IN_LATEX
