"""The numbers that the paper prints, as package data: ``paper_tables.json``."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_MODEL_NAMES = {
    "proposed dae": "dae",
    "noise2noise": "noise2noise",
    "mediandenoise": "median-cnn",
    "autoencoder": "autoencoder",
}
"""The paper's names of denoisers, without reference numbers, and pixguard's."""


@cache
def document() -> Mapping[str, Any]:
    """Return the whole document: source, tables, and what the text says beside them."""
    text = files("pixguard.reports").joinpath("paper_tables.json").read_text(encoding="utf-8")
    document: Mapping[str, Any] = json.loads(text)
    return document


def source() -> str:
    """Return the reference of the paper."""
    return str(document()["source"])


def published_tables() -> list[Mapping[str, Any]]:
    """Return every table of the paper: number, title, columns, rows, and what it is about."""
    return list(document()["tables"])


@cache
def published_table(number: int) -> Mapping[str, Any]:
    """Return one table of the paper.

    Raises:
        KeyError: the paper has no table of that number.
    """
    return {int(table["number"]): table for table in published_tables()}[number]


@cache
def published_rows(number: int | str) -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of a table by :func:`row_key` of their first cell, in the paper's order.

    A row maps the paper's column names to its values. A table that goes by a name is not the
    paper's and has no rows.
    """
    if isinstance(number, str):
        return {}
    table = published_table(number)
    return {row_key(row[0]): dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}


def row_key(name: str) -> str:
    """Return how a row is looked up: lower case, denoisers by pixguard's names.

    ``Proposed DAE`` becomes ``dae``, ``Noise2Noise [5]`` becomes ``noise2noise``.
    """
    plain = name.partition(" [")[0].strip().casefold()
    return _MODEL_NAMES.get(plain, plain)
