"""Carries a plan out: stores it, has its attempts made, and writes down what becomes of them."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pixguard.attacks.engine.search import Search
from pixguard.config import AttackSettings
from pixguard.records import PlanRecord
from pixguard.runner.defence import store_defence
from pixguard.runner.outcomes import Budget, Results
from pixguard.runner.plan import Plan, by_shape
from pixguard.runner.searching import Crew, Here, remark_on
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.runner.watching import store_watch
from pixguard.store.writer import Writer
from pixguard.words import pixels_text


def carry_out(
    session: Session,
    writer: Writer,
    subject: Subject,
    plan: Plan,
    settings: AttackSettings,
    search: Search,
    crew: Crew | None = None,
) -> dict[str, Any]:
    """Carry out what is left of a plan; ``crew`` None: on the session's device.

    Returns:
        Counts of attempts made, successes, failures and queries, and how they were evaluated.
    """
    through_id = _store_between(writer, subject, plan)
    writer.flush()
    attack_id = writer.attack(plan.record)
    remark = remark_on(session, subject, plan, settings, search)
    if remark:
        session.display.say(remark)
    plan_id = writer.plan(
        PlanRecord(
            seed=settings.seed,
            target=settings.target,
            attempts=plan.attempts,
            # A part of a plan is no other plan.
            settings={k: v for k, v in asdict(settings).items() if k != "shard"},
            command=session.again(settings.seed),
            remarks=(remark,) if remark else (),
        ),
        attack_id=attack_id,
        model_id=subject.model.id,
        dataset_id=subject.dataset_id,
        through_model_id=through_id,
    )
    results = Results(writer, subject, plan, settings, attack_id, through_id)
    asked_before = 0
    crew = crew or Here(session, subject, settings, search, once(session.display.say))
    title = f"attacking, {pixels_text(search.pixels)}"
    started, done = time.monotonic(), len(plan.done)
    budget = Budget(search, subject, plan.todo)
    with session.display.track(title, done + len(plan.todo), "attempts") as progress:
        asked = 0

        def tell(asked_of_shape: int) -> None:
            """Show progress and commit what is due, after every step."""
            nonlocal asked
            asked = asked_before + asked_of_shape
            rate = asked / (time.monotonic() - started)
            session.tell(plan=plan_id, candidates_per_second=rate)
            note = f"{results.beginning} succeeded, " if results.beginning.attempts else ""
            most_s = budget.left(asked) / rate if rate else None
            progress.update(done + results.ended, f"{note}{rate:,.0f} candidates/s", most_s)
            writer.flush_if_due()

        progress.update(done)
        for part in by_shape(plan, subject.dataset):
            if session.stop.requested:
                break
            asked_before = asked
            for outcome, made in crew.attempts(part, session.in_flight(plan_id), budget, tell):
                results.take(outcome, made)
                budget.end(outcome)
    writer.close_plan(plan_id)
    return {
        "run": writer.run_id,
        **results.counts,
        **({"remark": remark} if remark else {}),
        "success": results.beginning.rate(),
        "classes": results.beginning.by_class(subject.dataset),
        "evaluator": ", ".join(crew.used),
        "precision": ", ".join(sorted(set(crew.used.values()))),
    }


def _store_between(writer: Writer, subject: Subject, plan: Plan) -> int | None:
    """Store what the defence says of clean images; return its id, None where there is none."""
    if subject.watch is not None:
        return store_watch(writer, subject, plan.scored)
    return None if subject.defence is None else store_defence(writer, subject, plan.clean)


def once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what says a message only when it is new: every size of image has the same to tell."""
    told = set[str]()

    def once(message: str) -> None:
        if message not in told:
            told.add(message)
            say(message)

    return once
