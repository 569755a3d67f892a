"""``pixguard db merge``: the results of several machines in one database."""

import dataclasses
from dataclasses import dataclass

import typer

from pixguard.cli.common import print_json
from pixguard.cli.groups import OutputOptions
from pixguard.cli.options import command
from pixguard.config.settings import Settings, required, setting
from pixguard.store.merging.prefer import Prefer
from pixguard.words import printable


@dataclass(frozen=True, slots=True)
class MergeOptions(Settings):
    """What is taken in, and what counts."""

    others: list[str] = required(
        "SQLite files whose results to take in; they are only read.", argument=True
    )
    prefer: Prefer | None = setting(
        None, "Which of two different results of the same work counts. Default: refuse."
    )
    dry_run: bool = setting(False, "Say what would come and what contradicts; write nothing.")


@command
def merge(wanted: MergeOptions, output: OutputOptions) -> None:
    """Take the results of other databases into this one, each as a whole or not at all.

    Giving it again changes nothing. Weights come along; images stay where they are.
    """
    from pixguard.store.merging.merge import Merge, merge

    def tell(done: Merge) -> None:
        rows = ", ".join(f"{count:,} {table}" for table, count in done.added.items())
        verb = "merged" if done.done else "would merge"
        lines = [f"{verb} {done.other}: {rows or 'nothing new'}; {done.weights} files of weights"]
        for table, count in done.conflicts.items():
            lines.append(f"  {count:,} {table} with other results: {wanted.prefer} count")
        lines += [f"  without its weights: {file}" for file in done.missing_weights]
        lines += [f"  a model came without its name: {told}" for told in done.unnamed]
        typer.echo(printable("\n".join(lines)))

    merged = []
    for one in merge(output.database, wanted.others, wanted.prefer, dry_run=wanted.dry_run):
        merged.append(one)
        if not output.json:
            tell(one)
    if output.json:
        print_json({"database": output.database, "merged": [dataclasses.asdict(m) for m in merged]})
