"""What the shell offers for a name: datasets, models, tables, figures, as the database has them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

from pixguard.cli.groups import DEFAULT_DATABASE
from pixguard.errors import PixguardError

Offer = tuple[str, str]
"""A name, and what it stands for."""


def completion(kind: str) -> Callable[..., list[Offer]]:
    """Return what completes a name of a kind, which a setting declares as its ``names``."""

    def offers(ctx: typer.Context, incomplete: str) -> list[Offer]:
        # Tables and figures are named in lists: what stands before the last comma stays.
        *before, word = incomplete.split(",")
        start = ",".join([*before, ""]) if kind in ("table", "figure") else ""
        word = word if start else incomplete
        found = dict(_OFFERS.get(kind, _models)(ctx.params, kind))
        return [(start + name, about) for name, about in found.items() if name.startswith(word)]

    return offers


def _datasets(said: Mapping[str, Any], kind: str) -> Iterator[Offer]:
    from pixguard.datasets.catalogue import MEDICAL_MNIST, every_entry

    own = {stored.info.name: "in the database" for stored in _read(said, "datasets")}
    named = {entry.name: "" for entry in (*every_entry(), MEDICAL_MNIST)}
    yield from (own | {name: about for name, about in named.items() if name not in own}).items()


def _models(said: Mapping[str, Any], kind: str) -> Iterator[Offer]:
    wanted = [m for m in _read(said, "models") if kind in ("model", m.record.kind)]
    wanted = [m for m in wanted if said.get("dataset") in (None, "", m.dataset_name)]
    if kind in ("model", "classifier") and wanted:
        yield "latest", "the newest"
    for model in wanted:
        yield str(model.id), f"{model.record.architecture} of {model.dataset_name}"
    for model in reversed(wanted):
        if model.record.name not in (None, model.record.architecture):
            yield model.record.name, f"is {model.id}"
        yield model.record.architecture, f"the newest is {model.id}"


def _read(said: Mapping[str, Any], what: str) -> list[Any]:
    """Return the datasets or the models of the database that was named; of none, nothing."""
    from pixguard.store import reader
    from pixguard.store.engine import reading

    try:
        with reading(said.get("db") or DEFAULT_DATABASE) as engine:
            return list(getattr(reader, what)(engine))
    except PixguardError:
        return []


def _tables(said: Mapping[str, Any], kind: str) -> Iterator[Offer]:
    from pixguard.reports.specs import table_specs

    for name, spec in table_specs().items():
        yield str(name), spec.title


def _figures(said: Mapping[str, Any], kind: str) -> Iterator[Offer]:
    from pixguard.reports.figures.specs import figure_specs

    for name, spec in figure_specs().items():
        yield str(name), spec.title


_OFFERS: Mapping[str, Callable[[Mapping[str, Any], str], Iterator[Offer]]] = {
    "dataset": _datasets,
    "table": _tables,
    "figure": _figures,
}
