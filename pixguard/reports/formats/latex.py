"""Tables in LaTeX: a plain ``tabular`` that needs no package."""

from collections.abc import Iterable

from pixguard.reports.formats.text import cell_parts, clean, sections
from pixguard.reports.report_table import ReportTable

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
    '"': r"\textquotedbl{}",
    "–": "--",
    "×": r"$\times$",
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
    spec = "".join("l" if c.is_text else "r" for c in table.columns)
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


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _sentence(words: str) -> str:
    return words if words.endswith(".") else f"{words}."
