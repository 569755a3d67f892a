"""``pixguard db tag`` and ``db delete``: what is said of runs and models, and what goes."""

import dataclasses
import sys
from dataclasses import dataclass
from typing import Literal

import typer

from pixguard.cli.common import open_session, print_json, print_result
from pixguard.cli.groups import OutputOptions
from pixguard.cli.options import command
from pixguard.cli.tables import local_time, print_rows
from pixguard.config.settings import Settings, required, setting
from pixguard.errors import UsageError
from pixguard.words import printable


@dataclass(frozen=True, slots=True)
class TagOptions(Settings):
    """What is tagged, and with which words."""

    kind: Literal["run", "model"] | None = setting(
        None, "What: run, model. Without: list all tags.", argument=True
    )
    row: int | None = setting(None, "Its id.", argument=True, low=1)
    words: list[str] | None = setting(
        None, "Words; superseded: no longer what latest means.", argument=True
    )
    note: str = setting("", "A note that goes with the words.")
    remove: bool = setting(False, "Take the words away.")


@dataclass(frozen=True, slots=True)
class DeleteOptions(Settings):
    """What is deleted."""

    kind: Literal["run", "model", "dataset"] = required("What: run, model, dataset.", argument=True)
    row: int = required("Its id.", argument=True, low=1)
    yes: bool = setting(False, "Do not ask.", short="-y", in_file=False)
    dry_run: bool = setting(False, "Say what would go, and delete nothing.")


@command
def tag(wanted: TagOptions, output: OutputOptions) -> None:
    """Give a run or a model words and a note, or list them.

    Tags come along when databases are merged. A model that is tagged superseded keeps its results,
    and is no longer what latest or its architecture mean.
    """
    from pixguard.store import tagging
    from pixguard.store.engine import reading

    if wanted.kind is None:
        with reading(output.database) as engine:
            found = tagging.tags(engine)
        if output.json:
            print_json([dataclasses.asdict(one) for one in found])
            return
        rows = [
            {
                "what": f"{one.kind} {one.id}",
                "tag": one.word,
                "note": one.note,
                "at": local_time(one.at_ms),
            }
            for one in found
        ]
        print_rows(rows, "no tags; give one with `pixguard db tag model ID WORD`")
        return
    words = [word for word in wanted.words or () if word.strip()]
    if wanted.row is None or not words:
        raise UsageError("which one, and which words?", "pixguard db tag model 3 paper-table-32")
    with open_session(output.database, "cpu") as session:
        settings = {"tags": words, "of": [wanted.kind, wanted.row]}
        with session.writer(settings, 0) as writer, writer.engine.begin() as connection:
            if wanted.remove:
                tagging.untag(connection, wanted.kind, wanted.row, words)
            else:
                tagging.tag(connection, wanted.kind, wanted.row, words, wanted.note)
        with reading(output.database) as engine:
            left = sorted(tagging.words_of(engine, wanted.kind).get(wanted.row, ()))
    print_result({wanted.kind: wanted.row, "tags": left}, output.json)


@command
def delete(wanted: DeleteOptions, output: OutputOptions) -> None:
    """Delete a run, a model or a dataset with all that rests on it.

    It is counted, and asked about, first. Results may rest on a model long after it was replaced:
    `pixguard db tag model ID superseded` keeps them.
    """
    from pixguard.store import deleting
    from pixguard.store.engine import reading

    what = f"{wanted.kind} {wanted.row}"
    with reading(output.database) as engine:
        counts = deleting.what_rests_on(engine, wanted.kind, wanted.row)
    told = ", ".join(f"{count:,} {table}" for table, count in counts.items())
    if wanted.dry_run:
        if output.json:
            print_json({"deleted": None, "id": wanted.row, "rows": counts})
        else:
            typer.echo(printable(f"{what} would take with it: {told}"))
        return
    if not wanted.yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"{what} would take with it: {told}",
                f"pixguard db delete {what} --yes; pixguard db backup keeps a copy",
            )
        typer.confirm(f"Delete {what}, with rows in {told}?", abort=True, err=True)
    with open_session(output.database, "cpu") as session:
        from pixguard.runner import removing

        result = removing.delete(session, wanted.kind, wanted.row)
    print_result(result, output.json)
