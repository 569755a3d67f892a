"""The runs of every attack on one classifier: what the figures that compare attacks stand on."""

import json
from collections.abc import Sequence
from dataclasses import replace

from pixguard.attacks.registry import ATTACKS
from pixguard.reports import commands
from pixguard.reports.figures.request import FigureRequest
from pixguard.reports.studies import PAPER_ATTACK, AttackPlan, Study, choose
from pixguard.words import pixels_text

RUNS_NOTE = (
    "Attempts: non-targeted, on the bare classifier, first repeat (repeat = 0), on correctly "
    "classified test images; of several seeds of an attack the one with most images."
)


def attack_runs(request: FigureRequest) -> list[Study]:
    """Return the attacks on one classifier, each with the seed that has most images.

    Ordered by the number of pixels, then by name.

    Raises:
        NotRunError: no attack was run.
    """
    shown = choose(request.studies(request.evidence.attempted), request.spec.classifier)
    rows = []
    if shown is not None:
        ids = {"classifier_id": shown.classifier_id, "dataset_id": shown.dataset_id}
        rows = request.fetch("attack_runs", **ids)
    if shown is None or not rows:
        raise request.not_run(request.attack_command())
    largest: dict[int, AttackPlan] = {}
    for row in rows:
        if not row["pixels"]:
            continue  # of dense attacks the table tells, by distance
        plan = AttackPlan(
            attack_id=row["attack_id"],
            name=row["attack"],
            version=row["attack_version"],
            pixels=row["pixels"],
            parameters=row["parameters"],
            seed=row["seed"],
            images=int(row["images"]),
            counted="images attacked",
            successes=int(row["successes"]),
        )
        known = largest.get(plan.attack_id)
        if known is None or plan.images > known.images:
            largest[plan.attack_id] = plan
    if not largest:
        command = commands.attack(shown.dataset, 1, shown.classifier_id)
        raise request.not_run(command, "all attacks are dense")
    return [replace(shown, attack=plan) for plan in largest.values()]


def plan_of(run: Study) -> AttackPlan:
    """Return the attack of a run, which every run has."""
    assert run.attack is not None
    return run.attack


def by_pixels(runs: Sequence[Study]) -> dict[int, list[Study]]:
    """Return number of changed pixels -> the runs that changed as many, in order."""
    numbers = sorted({plan_of(run).pixels for run in runs})
    return {n: [run for run in runs if plan_of(run).pixels == n] for n in numbers}


def first_choices(runs: Sequence[Study]) -> list[list[Study]]:
    """Return for each number of pixels its runs, the paper's attack first, then the largest."""

    def rank(run: Study) -> tuple[bool, int, int]:
        plan = plan_of(run)
        return plan.name != PAPER_ATTACK, -plan.images, plan.attack_id

    return [sorted(own, key=rank) for own in by_pixels(runs).values()]


def labels_of(runs: Sequence[Study]) -> list[str]:
    """Return the names of the attacks of runs, namesakes with what tells their settings apart."""
    plans = list(map(plan_of, runs))
    return [_label(plan, [p for p in plans if p.name == plan.name]) for plan in plans]


def _label(plan: AttackPlan, namesakes: Sequence[AttackPlan]) -> str:
    own = json.loads(plan.parameters)
    others = [json.loads(p.parameters) for p in namesakes]
    words = [f"{k}={v}" for k, v in own.items() if any(o.get(k) != v for o in others)]
    words += [f"v{plan.version}"] if any(p.version != plan.version for p in namesakes) else []
    return f"{plan.name} ({', '.join(words)})" if words else plan.name


def another_attack(runs: Sequence[Study]) -> str:
    """Return the command that runs an attack that was not run yet, with the pixels of the first."""
    first = runs[0]
    done = {plan_of(run).name for run in runs}
    name = next((e.name for e in ATTACKS if not e.complete and e.name not in done), PAPER_ATTACK)
    return commands.attack(first.dataset, plan_of(first).pixels, first.classifier_id, name)


def changed(pixels: int) -> str:
    """Return ``1 pixel changed``."""
    return f"{pixels_text(pixels)} changed"
