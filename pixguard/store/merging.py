"""Takes the results of another database into this one: ``pixguard db merge``.

A row has the same key on every machine: what makes it the same is stated once below, and what must
then agree. Everything happens in one transaction, by statements over whole tables. The other
database is read only, as it stood when the merge began.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from pixguard.errors import PixguardError, UsageError
from pixguard.files import replacing
from pixguard.store import merging_plans, tables
from pixguard.store.engine import connect, reading, refuse_damaged
from pixguard.store.location import WEIGHTS, Location, files_folder, locate, read_only_url
from pixguard.store.lock import WriterLock
from pixguard.store.prefer import Prefer
from pixguard.store.tables import Base
from pixguard.words import shell_word

SHOWN = 10
"""Conflicts of a table that a message lists."""
_CLOSE = 1e-4
"""Metrics of one image on two machines differ in their last digits, and by no more than that."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes rows of two databases one row, and what must then be the same.

    Attributes:
        table: whose rows.
        key: columns that identify a row; a reference stands for the row that it points to.
        same: columns that must agree.
        may_differ: the results of one and the same work, of which the user may choose one.
    """

    table: type[Base]
    key: tuple[str, ...]
    same: tuple[str, ...] = ()
    may_differ: bool = False


_DATASET = ("name", "source", "size", "version", "split_scheme", "split_seed")
_CONTENT = ("modality", "least_height", "greatest_height", "least_width", "greatest_width")
_PLAN = ("model_id", "attack_id", "dataset_id", "through_model_id", "seed", "target")
_OUTCOME = ("success", "predicted_before", "predicted_after", "queries", "generations")
RULES = (
    Rule(tables.Environment, ("fingerprint",)),
    Rule(tables.Run, ("uuid",)),
    Rule(tables.Failure, ("run_id", "attempt_key", "at_ms", "error_type", "message")),
    Rule(tables.Dataset, _DATASET, ("manifest_sha256", "task", "channels")),
    Rule(tables.DatasetClass, ("dataset_id", "ordinal"), ("code", "name")),
    Rule(tables.DatasetContent, ("dataset_id",), _CONTENT),
    Rule(tables.DatasetCount, ("dataset_id", "split", "label_set"), ("images",)),
    Rule(tables.Image, ("dataset_id", "split", "dataset_index"), ("sha256", "label_set")),
    Rule(tables.Model, ("weights_sha256",), ("kind", "architecture", "dataset_id")),
    Rule(tables.TrainingEpoch, ("model_id", "epoch")),
    Rule(tables.Prediction, ("model_id", "image_id"), ("predicted",), may_differ=True),
    Rule(tables.Attack, ("name", "version", "pixels", "parameters_hash")),
    Rule(tables.Plan, _PLAN),
    Rule(tables.Attempt, ("attempt_key",), _OUTCOME, may_differ=True),
    Rule(tables.Pixel, ("attempt_id", "ordinal")),
    Rule(tables.Restoration, ("restoration_key",), ("predicted", "recovered"), may_differ=True),
    Rule(tables.Metric, ("name", "version"), ("parameters",)),
    Rule(tables.Score, ("restoration_id", "metric_id"), ("value_kind", "value"), may_differ=True),
    Rule(tables.Denoising, ("denoising_key",)),
    Rule(
        tables.DenoisingScore,
        ("denoising_id", "metric_id"),
        ("value_kind", "value"),
        may_differ=True,
    ),
    Rule(tables.Detection, ("detection_key",), ("flagged",), may_differ=True),
    Rule(
        tables.Certificate,
        ("model_id", "image_id", "method"),
        ("predicted", "radius"),
        may_differ=True,
    ),
)
"""In an order in which every row comes after what it refers to; the places of plans follow."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge did, or would do.

    Attributes:
        other: the database that was taken in.
        added: rows by table; nothing where all was there already.
        conflicts: rows by table that both have, with other results.
        weights: files of weights that came along.
        missing_weights: files that do not lie beside the other database.
        unnamed: models that came without their name, since another has it here.
        done: whether it was done, or only tried.
    """

    other: str
    added: Mapping[str, int] = field(default_factory=dict)
    conflicts: Mapping[str, int] = field(default_factory=dict)
    weights: int = 0
    missing_weights: Sequence[str] = ()
    unnamed: Sequence[str] = ()
    done: bool = True


def merge(
    database: str, others: Sequence[str], prefer: Prefer | None = None, *, dry_run: bool = False
) -> Iterator[Merge]:
    """Take other databases into one, each as a whole or not at all; yield what came of each.

    Args:
        database: the one that grows; an SQLite file of this schema.
        others: SQLite files of this schema, read only.
        prefer: which of two different results of the same work counts, with all that was made of
            it; None: such a database is refused.
        dry_run: do all of it, and take it back.

    Raises:
        DatabaseBusyError: the database is being written to.
        PixguardError: the two hold different results of the same work and none is preferred, other
            images or classes under the same name.
        UsageError: a database is on a server, or is named twice.
    """
    ours = locate(database)
    sources = [locate(other) for other in others]
    for source in sources:
        if source.file == ours.file:
            raise UsageError(f"{source.name} cannot be merged into itself", "name another file")
        with reading(source.name) as engine:  # all are looked at before the first is taken
            refuse_damaged(engine, source)
    with WriterLock(ours.file, "pixguard db merge"), reading(database, writable=True) as engine:
        refuse_damaged(engine, ours)
    for source in sources:
        with WriterLock(ours.file, "pixguard db merge"):
            yield _merge_one(ours, source, prefer, dry_run=dry_run)


def _merge_one(ours: Location, other: Location, prefer: Prefer | None, *, dry_run: bool) -> Merge:
    with _attached(ours, other) as connection, connection.begin() as transaction:
        work = _Work(connection, prefer)
        for rule in RULES:
            work.take(rule)
        work.refuse_conflicts(ours, other)
        work.count("planned_attempt", merging_plans.merge_places(connection, ours.name))
        files = _weights(connection, ours, other)
        present = [file for file in files if file[0].is_file()]
        if dry_run:
            transaction.rollback()
        else:
            for source, target in present:
                _copy(source, target)
    return Merge(
        other.name,
        work.added,
        work.conflicts,
        len(present),
        [str(source) for source, _ in files if not source.is_file()],
        work.unnamed,
        done=not dry_run,
    )


@contextmanager
def _attached(ours: Location, other: Location) -> Iterator[Connection]:
    """Yield a connection to a database that has another one beside it as ``theirs``."""
    engine = connect(ours, writable=True)
    try:
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            if raw is None:
                raise PixguardError(f"{ours.name} cannot be opened")
            url = read_only_url(other.file)
            options = "&".join(f"{name}={value}" for name, value in url.query.items())
            raw.execute("ATTACH DATABASE ? AS theirs", (f"{url.database}?{options}",))
            yield connection
    finally:
        engine.dispose()


class _Work:
    """One database being taken in: which of its rows are which of ours, so far."""

    def __init__(self, connection: Connection, prefer: Prefer | None) -> None:
        self._connection = connection
        self._prefer = prefer
        self.added: dict[str, int] = {}
        self.conflicts: dict[str, int] = {}
        self.unnamed: list[str] = []
        self._listed: list[str] = []
        self._refused: set[str] = set()

    def take(self, rule: Rule) -> None:
        """Take in what is new of a table, and note which row of theirs is which of ours."""
        name = rule.table.__tablename__
        self._run(f"CREATE TEMP TABLE map_{name} (theirs INTEGER PRIMARY KEY, ours INTEGER)")
        self._run(f"CREATE TEMP TABLE lost_{name} (theirs INTEGER PRIMARY KEY)")
        if rule.same:
            self._settle(rule)
        if name == "model":
            self._note_names()
        columns = [column.name for column in rule.table.__table__.columns if column.name != "id"]
        listed = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join(_value(rule.table, column) for column in columns)
        added = self._run(
            f"INSERT INTO main.{name} ({listed}) SELECT {values} {_source(rule.table)} "
            f"WHERE {_present(rule.table)} AND o.id NOT IN (SELECT theirs FROM lost_{name}) "
            f"AND NOT EXISTS (SELECT 1 FROM main.{name} m WHERE {_equal(rule.table, rule.key)}) "
            "ORDER BY o.id"
        )
        self.count(name, added)
        if _is_referred_to(rule.table):
            self._run(
                f"INSERT INTO map_{name} SELECT o.id, m.id {_source(rule.table)} "
                f"JOIN main.{name} m ON {_equal(rule.table, rule.key)} "
                f"WHERE {_present(rule.table)} AND o.id NOT IN (SELECT theirs FROM lost_{name})"
            )

    def count(self, name: str, rows: int) -> None:
        """Count rows that came in."""
        if rows:
            self.added[name] = rows

    def refuse_conflicts(self, ours: Location, other: Location) -> None:
        """Stop where the two contradict each other, and nobody said which is right.

        Raises:
            PixguardError: they do.
        """
        if not self._listed:
            return
        counts = ", ".join(f"{count} {name}" for name, count in self.conflicts.items())
        lines = "\n  ".join([f"{other.name} contradicts {ours.name}: {counts}", *self._listed])
        if self._refused:
            hint = (
                f"keep them apart: these are other {' and '.join(sorted(self._refused))} "
                "under the same name"
            )
            raise PixguardError(lines, hint)
        again = f"pixguard db merge {shell_word(other.name)} --db {shell_word(ours.name)}"
        raise PixguardError(
            lines, f"{again} --prefer ours, or --prefer theirs; --dry-run tells what would come"
        )

    def _settle(self, rule: Rule) -> None:
        """Find the rows that both have with other results, and drop the one that does not count."""
        name = rule.table.__tablename__
        differ = " OR ".join(_differs(column) for column in rule.same)
        if rule.table is tables.Attempt:
            differ += f" OR {_pixels('main', 'm')} IS NOT {_pixels('theirs', 'o')}"
        self._run(f"CREATE TEMP TABLE both_{name} (theirs INTEGER PRIMARY KEY, ours INTEGER)")
        found = self._run(
            f"INSERT INTO both_{name} SELECT o.id, m.id {_source(rule.table)} "
            f"JOIN main.{name} m ON {_equal(rule.table, rule.key)} "
            f"WHERE {_present(rule.table)} AND ({differ})"
        )
        if not found:
            return
        self.conflicts[name] = found
        if rule.may_differ and self._prefer == "theirs":
            self._delete(rule.table, f"SELECT ours FROM both_{name}")
        elif rule.may_differ and self._prefer == "ours":
            self._run(f"INSERT INTO lost_{name} SELECT theirs FROM both_{name}")
        else:
            self._list(rule, found)

    def _list(self, rule: Rule, found: int) -> None:
        name = rule.table.__tablename__
        if not rule.may_differ:
            self._refused.add({"image": "images", "dataset": "datasets"}.get(name, f"{name} rows"))
        told = ", ".join(f'm."{column}", o."{column}"' for column in rule.same)
        rows = self._connection.exec_driver_sql(
            f"SELECT b.ours, b.theirs, {told} FROM both_{name} b JOIN main.{name} m "
            f"ON m.id = b.ours JOIN theirs.{name} o ON o.id = b.theirs ORDER BY 1 LIMIT {SHOWN}"
        )
        for ours, theirs, *values in rows:
            pairs = zip(rule.same, values[::2], values[1::2], strict=True)
            what = [f"{column} {mine} here and {other} there" for column, mine, other in pairs
                    if mine != other]  # fmt: skip
            says = ", ".join(what) or "other pixels"
            self._listed.append(f"{name} {ours} (there {theirs}): {says}")
        if found > SHOWN:
            self._listed.append(f"and {found - SHOWN} more of {name}")

    def _delete(self, table: type[Base], ids: str) -> None:
        """Delete rows with all that refers to them."""
        for rule in RULES:
            for column, target in _references(rule.table).items():
                if target == table.__tablename__:
                    child = rule.table.__tablename__
                    inner = f"SELECT id FROM main.{child} WHERE {column} IN ({ids})"
                    self._delete(rule.table, inner)
        self._run(f"DELETE FROM main.{table.__tablename__} WHERE id IN ({ids})")

    def _note_names(self) -> None:
        """Note the names that stay with a model of ours, where a new model would have the same."""
        rows = self._connection.exec_driver_sql(
            "SELECT o.name, m.id FROM theirs.model o JOIN main.model m ON m.name = o.name "
            "WHERE m.weights_sha256 <> o.weights_sha256 "
            "AND o.weights_sha256 NOT IN (SELECT weights_sha256 FROM main.model) ORDER BY o.id"
        )
        self.unnamed = [f"{name} stays the name of model {ours}" for name, ours in rows]

    def _run(self, statement: str) -> int:
        return self._connection.exec_driver_sql(statement).rowcount


def _references(table: type[Base]) -> dict[str, str]:
    """Return column -> table of what its rows refer to."""
    columns = table.__table__.columns
    return {c.name: key.column.table.name for c in columns for key in c.foreign_keys}


def _is_referred_to(table: type[Base]) -> bool:
    name = table.__tablename__
    return any(name in _references(rule.table).values() for rule in RULES) or name == "plan"


def _source(table: type[Base]) -> str:
    """Return FROM: a row of theirs, and for each reference the row of ours that it will be."""
    joins = [
        f"LEFT JOIN map_{target} f_{column} ON f_{column}.theirs = o.{column}"
        for column, target in _references(table).items()
    ]
    return " ".join([f"FROM theirs.{table.__tablename__} o", *joins])


def _present(table: type[Base]) -> str:
    """Return the condition that nothing is missing which a row of theirs refers to."""
    tests = [f"(o.{c} IS NULL OR f_{c}.ours IS NOT NULL)" for c in _references(table)]
    return " AND ".join(tests) or "1"


def _value(table: type[Base], column: str) -> str:
    if column in _references(table):
        return f"f_{column}.ours"
    if table is tables.Model and column == "name":
        return "CASE WHEN o.name IN (SELECT name FROM main.model) THEN NULL ELSE o.name END"
    return f'o."{column}"'


def _equal(table: type[Base], key: Iterable[str]) -> str:
    """Return the condition that a row ``m`` of ours has the key of a row of theirs."""
    nullable = {column.name for column in table.__table__.columns if column.nullable}
    return " AND ".join(
        f'm."{column}" {"IS" if column in nullable else "="} {_value(table, column)}'
        for column in key
    )


def _differs(column: str) -> str:
    if column == "dataset_id":
        return "m.dataset_id IS NOT f_dataset_id.ours"
    if column == "value":
        return f"ABS(m.value - o.value) > {_CLOSE} * MAX(1, ABS(m.value))"
    return f'm."{column}" IS NOT o."{column}"'


def _pixels(where: str, row: str) -> str:
    """Return the expression that tells all changed pixels of an attempt in one text."""
    return (
        "(SELECT GROUP_CONCAT(t) FROM (SELECT q.\"row\" || ':' || q.col || ':' || q.\"after\" AS t "
        f"FROM {where}.pixel q WHERE q.attempt_id = {row}.id ORDER BY q.ordinal))"
    )


def _weights(connection: Connection, ours: Location, other: Location) -> list[tuple[Path, Path]]:
    """Return (file there, file here) of all weights that are not here yet.

    Their name is their content, which is checked whenever they are opened.
    """
    rows = connection.exec_driver_sql(
        "SELECT DISTINCT weights_file FROM theirs.model WHERE weights_file <> '' ORDER BY 1"
    )
    theirs, here = (files_folder(str(place.file)) / WEIGHTS for place in (other, ours))
    files = [(theirs / file, here / file) for (file,) in rows]
    return [file for file in files if not file[1].exists()]


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as read, replacing(target) as written:
            shutil.copyfileobj(read, written)
    except OSError as error:
        raise PixguardError(
            f"cannot copy {source} to {target}: {error.strerror or error}",
            f"make space on {target.parent.parent} or mend its permissions; nothing was merged",
        ) from error
