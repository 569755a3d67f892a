"""What is shown of the steps of an experiment before anything runs: a script, or what is left."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from pixguard.cli.experiments.expanding import Step
from pixguard.cli.experiments.file import Experiment
from pixguard.cli.tables import print_rows
from pixguard.progress import human_duration
from pixguard.words import command_line, printable

if TYPE_CHECKING:
    from pixguard.cli.experiments.looking import Look


def script(experiment: Experiment, steps: Sequence[Step]) -> str:
    """Return the steps as a shell script, which ends where one fails."""
    lines = ["#!/bin/sh", f"# {' '.join(printable(experiment.title).split())}", "set -e", ""]
    return "\n".join([*lines, *(command_line(["pixguard", *s.words.line]) for s in steps)])


def listing(steps: Sequence[Step], look: "Look") -> list[dict[str, Any]]:
    """Return what stands where, as JSON holds it."""
    rows = []
    for step in steps:
        standing = look.at(step)
        seconds = look.seconds(step, standing)
        rows.append(
            {
                "step": step.number,
                "what": step.title,
                "done": standing.done,
                "left": standing.left,
                "total": standing.total,
                "unit": standing.unit or None,
                "seconds": None if seconds is None else round(seconds, 1),
                "missing": str(step.missing) if step.missing else None,
                "needs": [sorted(group) for group in step.needs],
                "command": command_line(["pixguard", *step.words.line]),
            }
        )
    return rows


def print_listing(experiment: Experiment, rows: Sequence[dict[str, Any]]) -> None:
    """Print the steps for a person, and how long all takes as far as that is known."""
    if experiment.title:
        typer.echo(printable(experiment.title))
    print_rows([{k: row[k] for k in ("step", "what")} | _state(row) for row in rows], "no steps")
    typer.echo("\n".join(_times(rows)))


def _state(row: dict[str, Any]) -> dict[str, str]:
    if row["done"]:
        return {"state": "done", "time": ""}
    if row["missing"]:
        return {"state": f"{row['missing']} is not there", "time": ""}
    left = f"{row['left']:,} " if row["left"] is not None else ""
    of = f"of {row['total']:,} " if row["total"] not in (None, row["left"]) else ""
    known, about = row["seconds"], "at most" if row["unit"] == "epochs" else "about"
    time = "not yet known" if known is None else f"{about} {human_duration(known)}"
    return {"state": f"{left}{of}{row['unit'] or ''} to do".strip(), "time": time}


def _times(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    todo = [row for row in rows if not row["done"]]
    yield f"{len(rows) - len(todo)} of {len(rows)} steps are done"
    known = [row["seconds"] for row in todo if row["seconds"] is not None]
    if known:
        yield f"{len(known)} to do: about {human_duration(sum(known))}, as such work took here"
    if len(known) < len(todo):
        yield f"{len(todo) - len(known)} to do: time not yet known"
