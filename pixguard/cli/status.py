"""``pixguard status`` and ``pixguard stop``: what works on a database, seen from elsewhere."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import typer

from pixguard.cli.common import print_json, print_result
from pixguard.cli.groups import OutputOptions
from pixguard.cli.options import command
from pixguard.cli.speech import say
from pixguard.config.settings import Settings, setting
from pixguard.progress import human_duration, time_left
from pixguard.words import command_line, pixels_text, printable, printable_json

LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class WatchOptions(Settings):
    """How long to look."""

    watch: bool = setting(
        False, "Look again every 2 seconds, until Ctrl-C; with --json a line each time."
    )


@dataclass(frozen=True, slots=True)
class WhichProcess(Settings):
    """Who is to stop."""

    pid: int | None = setting(
        None, "Number of the process. Default: the only one at work.", argument=True, low=1
    )


@command
def status(watching: WatchOptions, output: OutputOptions) -> None:
    """Show every plan, how far it is, and who works on it; beside a running writer, too."""
    from pixguard.reports.status import Look
    from pixguard.store.engine import reading

    with reading(output.database) as engine:
        look = Look(engine, output.database)
        if not watching.watch:
            found = look.now()
            print_json(found) if output.json else typer.echo("\n".join(_lines(found)))
            return
        with suppress(KeyboardInterrupt), _screen(output.json) as show:
            while True:
                show(look.now())
                time.sleep(LOOK_EVERY_S)


@contextmanager
def _screen(as_json: bool) -> Iterator[Any]:
    """Yield what shows a status in the place of the one before; off a terminal, below it."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    if as_json or not console.is_terminal:
        yield lambda found: typer.echo(
            printable_json(json.dumps(found, ensure_ascii=False))
            if as_json
            else "\n".join([*_lines(found), ""])
        )
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda found: live.update(Text("\n".join(_lines(found))), refresh=True)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a status as lines."""
    if not found["working"]:
        yield "nobody works on this database"
    for one in found["working"]:
        yield from map(printable, _worker_lines(one))
    for plan in found["plans"]:
        yield ""
        yield from map(printable, _plan_lines(plan))
    if not found["plans"]:
        yield "no plans yet"


def _worker_lines(one: Mapping[str, Any]) -> Iterator[str]:
    age = human_duration(one["heartbeat_age_s"])
    state = {
        "running": f"running, heartbeat {age} ago",
        "silent": f"silent: no heartbeat for {age}; stopped, or cut off",
        "gone": f"gone: the process was killed, its last heartbeat {age} ago",
    }[one["state"]]
    run = f"run {one['run']}, " if one["run"] else ""
    yield f"{run}process {one['pid']} on {one['host']}: {state}"
    yield f"  {one['command']}"
    doing = one["doing"]
    if one["state"] != "gone" and "title" in doing:
        parts = [f"{doing['title']}: {doing['done']:,}/{doing['total']:,} {doing['unit']}"]
        if one["left_s"] is not None:
            parts.append(time_left(one["left_s"], at_most=doing["at_most"]))
        yield f"  {', '.join(filter(None, [*parts, doing['note']]))}"


def _plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    target = f", target {plan['target']}" if plan["target"] else ""
    through = f", through {plan['through']}" if plan["through"] else ""
    pixels = pixels_text(plan["pixels"])
    size = f"{plan['size']}x{plan['size']}" if plan["size"] else "native sizes"
    yield (
        f"plan {plan['plan']}: {plan['attack']}, {pixels}, seed {plan['seed']}{target}{through}, "
        f"on {plan['dataset']} {size}, {plan['architecture']} #{plan['classifier_id']}"
    )
    yield f"  {plan['settings']}"
    planned = "unknown" if plan["planned"] is None else f"{plan['planned']:,}"
    failed = f", {plan['failed']:,} failed" if plan["failed"] else ""
    yield f"  {plan['state']}: {plan['done']:,} of {planned} attempts done{failed}"
    success = plan["success"]
    if success["attempts"]:
        low, high = (100 * end for end in success["interval"])
        first = "" if plan["state"] == "finished" else "the first "
        over = f"{success['successes']:,} of {first}{success['attempts']:,}"
        yield f"  {over} succeeded: {100 * success['rate']:.1f} % ({low:.1f}–{high:.1f})"
    elif plan["state"] != "finished":
        yield "  no rate yet: the first attempt of its order is not done"
    pace = plan["candidates_per_second"]
    if pace is not None:
        yield f"  {pace:,.0f} candidates/s"
    if plan["state"] in ("interrupted", "gone") and plan["command"]:
        yield f"  go on: {plan['command']}"


@command
def stop(which: WhichProcess, output: OutputOptions) -> None:
    """Ask what works on the database to stop as Ctrl-C does, and wait for it.

    What is finished is committed. A second time stops it at once.
    """
    from pixguard.cli.stopping import stop_one, to_stop

    worker = to_stop(output.database, which.pid)
    if worker is None:
        found = {"stopped": None}
        print_json(found) if output.json else typer.echo("nobody works on this database")
        return
    say(f"asked process {worker.pid} to stop: {worker.command}")
    seconds = stop_one(worker)
    result = {"stopped": worker.command, "pid": worker.pid, "seconds": round(seconds, 1)}
    go_on = command_line(["pixguard", "status", "--db", output.database])
    print_result({**result, "what is left": go_on} if not output.json else result, output.json)
