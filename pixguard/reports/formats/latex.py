"""Tables in LaTeX: a plain ``tabular`` that needs no package but, for letters, inputenc."""

from collections.abc import Iterable

from pixguard.reports.formats.text import cell_parts, clean, sections
from pixguard.reports.report_table import ReportTable

LONG, LINE = 32, "4cm"
"""From how many characters on words are broken into lines, and how long these are."""
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "–": "--",
    "×": r"$\times$",
    # The symbols of the paper's Table 4.
    "√": r"$\surd$",
    "★": r"$\star$",
    "▲": r"$\triangle$",
    "●": r"$\bullet$",
    "♦": r"$\diamondsuit$",
    # After \\ a bracket would open an optional argument and a star a variant.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}


def escape_latex(words: str) -> str:
    """Return words that LaTeX sets as they are."""
    return "".join(_ESCAPES.get(character, character) for character in clean(words))


def render_latex(table: ReportTable) -> str:
    """Return a ``table`` environment; caption and notes are set below the figures."""
    spec = "".join(_alignment(table, position) for position in range(len(table.columns)))
    width = len(table.columns)
    lines = [
        f"% {clean(table.heading)}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.title)}}}",
        rf"\label{{tab:pixguard-{table.number}}}",
        rf"\begin{{tabular}}{{{spec}}}",
        r"\hline",
        _line(escape_latex(c.name) for c in table.columns),
        r"\hline",
    ]
    for heading, rows in sections(table):
        if heading:
            lines += [r"\hline", rf"\multicolumn{{{width}}}{{l}}{{\textit{{{heading}:}}}} \\"]
        for row in rows:
            lines.append(
                _line(
                    escape_latex(" ".join(cell_parts(cell, column, published=table.published)))
                    for cell, column in zip(row.cells, table.columns, strict=True)
                )
            )
    lines += [r"\hline", r"\end{tabular}"]
    remarks = " ".join(escape_latex(_sentence(x)) for x in (*table.caption, *table.notes))
    if remarks:
        lines += ["", rf"\par\smallskip{{\footnotesize {remarks}\par}}"]
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _alignment(table: ReportTable, position: int) -> str:
    """Return how a column is set; long words in lines, which ``l`` would not break."""
    column = table.columns[position]
    if not column.is_text:
        return "r"
    parts = (
        cell_parts(row.cells[position], column, published=table.published) for row in table.rows
    )
    longest = max((len(" ".join(own)) for own in parts), default=0)
    return rf"p{{{LINE}}}" if longest > LONG else "l"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _sentence(words: str) -> str:
    return words if words.endswith(".") else f"{words}."
