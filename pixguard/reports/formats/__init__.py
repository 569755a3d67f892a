"""Output formats, one a file: each turns a :class:`ReportTable` into text."""

from collections.abc import Mapping
from typing import Literal, get_args

Format = Literal["table", "md", "csv", "json", "latex", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS: Mapping[Format, str] = {
    "table": "txt",
    "md": "md",
    "csv": "csv",
    "json": "json",
    "latex": "tex",
    "html": "html",
}
"""Endings of the names of files."""
