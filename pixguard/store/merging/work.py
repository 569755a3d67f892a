"""Takes in one database, table by table, inside the caller's transaction."""

from sqlalchemy import Connection

from pixguard.errors import PixguardError
from pixguard.store import tables
from pixguard.store.location import Location
from pixguard.store.merging import sql
from pixguard.store.merging.prefer import Prefer
from pixguard.store.merging.rules import RULES, Rule
from pixguard.store.tables import Base
from pixguard.words import shell_word

SHOWN = 10
"""Conflicts of a table that a message lists."""


class Work:
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
        values = ", ".join(sql.value(rule.table, column) for column in columns)
        added = self._run(
            f"INSERT INTO main.{name} ({listed}) SELECT {values} {sql.source(rule.table)} "
            f"WHERE {sql.present(rule.table)} AND o.id NOT IN (SELECT theirs FROM lost_{name}) "
            f"AND NOT EXISTS (SELECT 1 FROM main.{name} m WHERE {sql.equal(rule.table, rule.key)}) "
            "ORDER BY o.id"
        )
        self.count(name, added)
        if sql.is_referred_to(rule.table):
            self._run(
                f"INSERT INTO map_{name} SELECT o.id, m.id {sql.source(rule.table)} "
                f"JOIN main.{name} m ON {sql.equal(rule.table, rule.key)} "
                f"WHERE {sql.present(rule.table)} AND o.id NOT IN (SELECT theirs FROM lost_{name})"
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
        differ = " OR ".join(sql.differs(column) for column in rule.same)
        if rule.table is tables.Attempt:
            for told in (sql.pixels, sql.whole):
                differ += f" OR {told('main', 'm')} IS NOT {told('theirs', 'o')}"
        self._run(f"CREATE TEMP TABLE both_{name} (theirs INTEGER PRIMARY KEY, ours INTEGER)")
        found = self._run(
            f"INSERT INTO both_{name} SELECT o.id, m.id {sql.source(rule.table)} "
            f"JOIN main.{name} m ON {sql.equal(rule.table, rule.key)} "
            f"WHERE {sql.present(rule.table)} AND ({differ})"
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
            for column, target in sql.references(rule.table).items():
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
