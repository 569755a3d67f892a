"""Every table, every figure's data and the page's overview are the same on PostgreSQL."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, StaticPool, create_engine

import postgresql
from pixguard.reports.build import build_tables, list_tables
from pixguard.reports.figures.build import draw_figure
from pixguard.reports.figures.drawing import NotRunError
from pixguard.reports.figures.specs import figure_specs, kind_of
from pixguard.reports.formats.json_text import json_value
from pixguard.reports.querying import fetch, make_query
from pixguard.reports.specs import table_specs
from pixguard.store.engine import connect
from pixguard.store.location import locate
from pixguard.store.tables import Base
from reports.reports_miniature import Miniature, complete, fill

PAGE = ("attack_runs", "classifiers", "counts", "datasets", "denoisers", "environments", "runs")


def everything(engine: Engine) -> dict[str, str]:
    """What the reports read from a database, as text, so that 1, 1.0 and Decimal(1) differ."""
    tables = [*build_tables(engine, table_specs().values()), list_tables(engine)]
    found = {f"table {table.number}": json.dumps(json_value(table)) for table in tables}
    for spec in figure_specs().values():
        if not kind_of(spec).needs_images:
            try:
                drawing = draw_figure(engine, spec, dataset="oct", model=2)
            except NotRunError as error:
                found[f"figure {spec.number}"] = error.message
            else:
                rows = [fetch(engine, query) for query in drawing.queries]
                found[f"figure {spec.number}"] = json.dumps([drawing.text, *rows])
    for name in PAGE:
        query = make_query(f"page_{name}", **({"limit": 9} if name == "runs" else {}))
        found[f"page {name}"] = json.dumps(fetch(engine, query))
    return found


def filled(engine: Engine) -> Engine:
    mini = Miniature(engine)
    mini.start()
    fill(mini)
    complete(mini)
    return engine


def test_reports_are_the_same_on_both() -> None:
    on_server = postgresql.with_tables()
    memory = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(memory)
    expected = everything(filled(memory))
    filled(writing := connect(locate(on_server), writable=True))
    writing.dispose()
    reading = connect(locate(on_server))
    found = everything(reading)
    reading.dispose()
    memory.dispose()
    assert len(expected) > 80 and sum("not run" not in text for text in expected.values()) > 40
    for name, text in expected.items():
        assert as_read(found[name]) == as_read(text, nearly), name


def nearly(word: str) -> object:
    """A fraction to 12 digits: a server may add up in another order."""
    return pytest.approx(float(word), rel=1e-12)


def as_read(text: str, fraction: Callable[[str], object] = float) -> object:
    """A text that is JSON as values."""
    return json.loads(text, parse_float=fraction) if text[0] in "[{" else text
