"""Carries the steps of an experiment out, one after the other, as far as they can be."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from pixguard.cli.experiments.expanding import Step
from pixguard.cli.experiments.looking import Look
from pixguard.cli.experiments.processes import Steps
from pixguard.cli.speech import say, speech
from pixguard.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED
from pixguard.progress import Pace, human_duration
from pixguard.store.presence import Presence
from pixguard.words import command_line, printable

SERVES = ("done", "found", "some failed")
"""States of a step that others can build on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step.

    ``state`` is ``found`` (there before), ``done``, ``some failed`` (attempts), ``failed``,
    ``skipped``, ``stopped`` or ``not begun``.
    """

    step: Step
    state: str
    reason: str = ""
    code: int = 0
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "step": self.step.number,
            "command": command_line(["pixguard", *self.step.words.line]),
            "state": self.state,
            "reason": self.reason or None,
            "seconds": round(self.seconds, 1),
        }


def carry_out(steps: Sequence[Step], look: Look, presence: Presence) -> list[Outcome]:
    """Run what is not done; what needs a step that failed is left out, the rest goes on.

    Meanwhile ``presence`` tells how far it is.

    Returns:
        One outcome a step, in order.
    """
    ended: dict[int, Outcome] = {}
    pace = Pace("steps", len(steps), "steps")
    with Steps() as running, presence.at_work(), presence.follow(pace):
        for step in steps:
            pace.done, pace.note = len(ended), step.title  # steps are too unlike to tell the time
            ended[step.number] = _one(step, len(steps), look, running, ended)
    return list(ended.values())


def _one(
    step: Step, count: int, look: Look, running: Steps, ended: Mapping[int, Outcome]
) -> Outcome:
    if running.were_stopped():
        return Outcome(step, "not begun", "the plan was stopped")
    for group in step.needs:
        if not any(ended[number].state in SERVES for number in group):
            wanted = ", ".join(f"{n} ({ended[n].state})" for n in sorted(group))
            return _say(Outcome(step, "skipped", f"it needs step {wanted}"), count)
    if look.at(step).done:
        return _say(Outcome(step, "found"), count)
    if step.missing is not None:
        why = f"{step.missing} is not there: --data-dir names the folder that holds it"
        return _say(Outcome(step, "skipped", why), count)
    line = [*step.words.line, *speech().flags]
    if not speech().quiet:
        typer.secho(f"\n[{step.number}/{count}] {printable(step.title)}", bold=True, err=True)
    say(f"$ {command_line(['pixguard', *line])}")
    started = time.monotonic()
    code = running.run(line)
    seconds = time.monotonic() - started
    if running.were_stopped():
        return Outcome(step, "stopped", "what was finished is kept", code, seconds)
    if code == 0:
        outcome = Outcome(step, "done", "", code, seconds)
    elif code == EXIT_SOME_FAILED:
        outcome = Outcome(step, "some failed", "some attempts failed", code, seconds)
    else:
        why = f"killed by signal {code - 128}" if code > 128 else f"exit code {code}"
        outcome = Outcome(step, "failed", why, code, seconds)
    return _say(outcome, count)


def _say(outcome: Outcome, count: int) -> Outcome:
    step = outcome.step
    words = [f"[{step.number}/{count}]", step.title + ":" if outcome.state != "done" else ""]
    told = {"found": "done before", "done": f"done in {human_duration(outcome.seconds)}"}
    words += [told.get(outcome.state, f"{outcome.state}, {outcome.reason}")]
    say(" ".join(filter(None, words)))
    return outcome


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return what the plan ends with: interrupted, failed, some attempts failed, or 0."""
    states = {outcome.state for outcome in outcomes}
    if states & {"stopped", "not begun"}:
        return EXIT_INTERRUPTED
    if states & {"failed", "skipped"}:
        return 1
    return EXIT_SOME_FAILED if "some failed" in states else 0


def summary(outcomes: Sequence[Outcome], again: str) -> Iterator[str]:
    """Yield the lines of what the plan came to: counts, what failed, and what to type next."""
    counts = {state: sum(o.state == state for o in outcomes) for state in _ORDER}
    total = sum(outcome.seconds for outcome in outcomes)
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    yield f"{len(outcomes)} steps: {', '.join(parts)}; {human_duration(total)}"
    for outcome in outcomes:
        if outcome.state in ("failed", "some failed"):
            yield f"step {outcome.step.number} {outcome.state} ({outcome.reason}); again:"
            yield f"  {command_line(['pixguard', *outcome.step.words.line])}"
        elif outcome.state == "skipped":
            yield f"step {outcome.step.number} skipped: {outcome.reason}"
    if exit_code(outcomes):
        yield f"all that is missing: {again}"


_ORDER = ("found", "done", "some failed", "failed", "skipped", "stopped", "not begun")
