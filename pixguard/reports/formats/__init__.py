"""Output formats, one a file: each turns a :class:`ReportTable` into text."""
