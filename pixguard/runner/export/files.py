"""Rows to CSV or Parquet files, written as they come."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from pixguard.errors import UsageError
from pixguard.runner.export.kinds import TableFormat
from pixguard.store.exports import ExportColumn

EMBEDDED = {"_type": "Image"}
"""What Hugging Face calls a column that holds an image's file."""


class Rows(Protocol):
    """Takes rows, some at a time."""

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""


def require_parquet() -> None:
    """Raise where Parquet cannot be written.

    Raises:
        UsageError: pyarrow is not installed; with the command that installs it.
    """
    if find_spec("pyarrow") is None:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed",
            "pip install 'pixguard[parquet]'; or `format=csv`, which needs nothing",
        )


@contextmanager
def csv_rows(path: Path, columns: Sequence[ExportColumn]) -> Iterator[Rows]:
    """Yield what writes a CSV file; NULL is an empty field."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        yield _Csv(writer)


class _Csv:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._writer.writerows(rows)


@contextmanager
def parquet_rows(
    path: Path, columns: Sequence[ExportColumn], images: Sequence[str] = ()
) -> Iterator[Rows]:
    """Yield what writes a Parquet file; columns of ``images`` follow, PNG files as bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string()}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [pa.field(c.name, kinds[c.kind]) for c in columns]
    fields += [pa.field(name, image) for name in images]
    schema = pa.schema(fields, metadata=_features(columns, images) if images else None)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield _Parquet(pa, writer, schema)


class _Parquet:
    def __init__(self, pa: Any, writer: Any, schema: Any) -> None:
        self._pa, self._writer, self._schema = pa, writer, schema

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        arrays = [
            self._pa.array(values, type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_batch(self._pa.record_batch(arrays, schema=self._schema))


def _features(columns: Sequence[ExportColumn], images: Sequence[str]) -> Mapping[str, str]:
    """Return what tells the library ``datasets`` which columns are images."""
    kinds = {"integer": "int64", "number": "float64", "text": "string"}
    features: dict[str, Any] = {
        c.name: {"dtype": kinds[c.kind], "_type": "Value"} for c in columns
    } | dict.fromkeys(images, EMBEDDED)
    return {"huggingface": json.dumps({"info": {"features": features}})}


def table_rows(
    folder: Path, name: str, columns: Sequence[ExportColumn], form: TableFormat
) -> AbstractContextManager[Rows]:
    """Return what writes one table of a folder."""
    path = folder / f"{name}.{form}"
    return csv_rows(path, columns) if form == "csv" else parquet_rows(path, columns)
