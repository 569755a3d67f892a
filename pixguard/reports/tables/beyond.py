"""What the tables share that the paper lacks: which classifier, and how attacks are told."""

import json
from collections.abc import Iterator, Sequence

from pixguard.reports import commands
from pixguard.reports.evidence import Study, choose, matching
from pixguard.reports.request import TableRequest

IMPLIED_SETTINGS = frozenset({"goal"})
"""Parameters that all rows of a table share: it shows non-targeted attacks alone."""


def find_study(request: TableRequest, *pools: Sequence[Study]) -> Study | None:
    """Return what the table takes from the first pool that holds something fitting."""
    for pool in pools:
        study = choose(request.studies(pool, request.dataset), None)
        if study is not None:
            return study
    return None


def plans_by_pixels(request: TableRequest, pool: Sequence[Study]) -> list[Study]:
    """Return the attacks that a table shows: on one classifier, one for each number of pixels."""
    shown = find_study(request, pool)
    if shown is None:
        return []
    own = [
        c
        for c in request.studies(pool, request.dataset)
        if c.attack is not None and c.classifier_id == shown.classifier_id
    ]
    counts = sorted({c.attack.pixels for c in own if c.attack is not None})
    chosen = (choose(matching(own, pixels=pixels), None) for pixels in counts)
    return [c for c in chosen if c is not None]


def attack_command(
    request: TableRequest,
    study: Study | None,
    attack: str,
    pixels: int = 1,
    through: str | None = None,
) -> str:
    """Return the command that attacks the table's classifier.

    Without one it is of the user's dataset, or of one that a classifier was trained for.
    """
    if study is not None:
        dataset, classifier_id = study.dataset, study.classifier_id
        return commands.attack(dataset, pixels, classifier_id, attack, through)
    dataset = request.dataset or request.default_dataset()
    return request.fill_command(dataset, None, real=False, attack=attack, through=through)


def title(request: TableRequest, study: Study | None) -> str:
    """Return the table's title with what it is about."""
    if study is None:
        return request.spec.title
    phantom = ", phantom data" if study.is_synthetic else ""
    return f"{request.spec.title}: {study.dataset}{phantom}, {study.architecture}"


def elsewhere(request: TableRequest, pool: Sequence[Study], shown: Study) -> Iterator[str]:
    """Yield a note on the other classifiers that the table can be asked for."""
    others = {
        c.classifier_id: f"{c.dataset}, {c.classifier} (--model {c.classifier_id})"
        for c in request.studies(pool, request.dataset)
        if c.classifier_id != shown.classifier_id
    }
    if others:
        yield f"There is data for {'; '.join(others.values())} too."


def settings_text(parameters: str) -> str:
    """Return an attack's parameters (JSON) as words: ``population=100, generations=100``."""
    found = json.loads(parameters).items()
    return ", ".join(f"{name}={value}" for name, value in found if name not in IMPLIED_SETTINGS)


def scaled(value: float | None, scale: float = 1.0) -> float | None:
    """Return a database's number (PostgreSQL gives decimals) as a float times ``scale``."""
    return None if value is None else float(value) * scale
