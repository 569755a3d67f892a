"""Output formats, one a file: each turns a :class:`ReportTable` into text."""

from typing import Literal, get_args

Format = Literal["table", "md", "csv", "json", "latex", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
