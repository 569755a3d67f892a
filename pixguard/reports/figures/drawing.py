"""A finished figure: what is drawn, what must be known to read it, and its bytes as a file."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pixguard.errors import PixguardError
from pixguard.reports.figures.style import DOTS_PER_INCH, styled
from pixguard.reports.report_table import Query

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FigureFormat = Literal["png", "svg", "pdf"]


class NotRunError(PixguardError):
    """The database holds nothing that the figure could show; the hint is what would fill it."""

    kind: ClassVar[str] = "not-run"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished figure.

    Attributes:
        number: the paper's number, or a name for a figure that the paper lacks.
        title: what it shows; says so where it shows other data than the paper's.
        caption: one line for each set of data in it, as under a table.
        notes: definitions, remarks, and what would fill the gaps.
        queries: what was asked of the database, in order.
        figure: the matplotlib figure.
    """

    number: int | str
    title: str
    caption: tuple[str, ...]
    notes: tuple[str, ...]
    queries: tuple[Query, ...]
    figure: "Figure"

    @property
    def heading(self) -> str:
        """``Figure 9. Examples of ...``; the title alone for a figure without a number."""
        return f"Figure {self.number}. {self.title}" if isinstance(self.number, int) else self.title

    @property
    def text(self) -> str:
        """Heading, caption and notes, a line each."""
        return "\n".join((self.heading, *self.caption, *self.notes))

    def png(self) -> bytes:
        """Return the figure as a PNG file of 200 dots per inch, its text as the description."""
        return self._save("png", {"Title": self.heading, "Description": self.text})

    def svg(self) -> bytes:
        """Return the figure as an SVG file, its labels as text, its text as the description."""
        return self._save("svg", {"Title": self.heading, "Description": self.text})

    def pdf(self) -> bytes:
        """Return the figure as a PDF file of vectors, its text as the subject."""
        return self._save("pdf", {"Title": self.heading, "Subject": self.text})

    def encoded(self, suffix: str) -> bytes:
        """Return the figure in the format of a file name's suffix: .png, .svg or .pdf."""
        formats = {".png": self.png, ".svg": self.svg, ".pdf": self.pdf}
        return formats[suffix.lower()]()

    def _save(self, file_format: FigureFormat, metadata: Mapping[str, str]) -> bytes:
        """Equal data give equal bytes: no date, no version, no random identifiers."""
        undated: dict[str, Any] = {
            "png": {"Software": None},
            "svg": {"Date": None},
            "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        }[file_format]
        salt = {"svg.hashsalt": str(self.number)}
        stream = io.BytesIO()
        with styled(**salt):
            self.figure.savefig(
                stream,
                format=file_format,
                dpi=DOTS_PER_INCH,
                metadata={**metadata, **undated},
            )
        return stream.getvalue()
