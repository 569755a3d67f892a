"""Collects the images of a few attempts: clean, attacked, and as each denoiser restores them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pixguard.classifiers.evaluation import canonical_logits
from pixguard.defences.denoisers.registry import changes_nothing
from pixguard.defences.restoring import restore
from pixguard.errors import UsageError
from pixguard.runner.denoisers import applied_denoisers, label, load_denoiser
from pixguard.runner.images import adversarial_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import outcomes
from pixguard.store.engine import reading
from pixguard.words import shell_word


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a panel: uint8 (H, W, C), what the classifier says, and whether it is right."""

    image: NDArray[np.uint8]
    decision: str
    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One attempt: its tiles by column name, and the (row, col) of its changed pixels."""

    image_index: int
    tiles: dict[str, Tile]
    pixels: tuple[tuple[int, int], ...]


def collect(
    session: Session, subject: Subject, *, attack_id: int, seed: int, count: int
) -> list[PanelRow]:
    """Return panel rows for successful attempts of one attack, going round the true classes.

    Non-targeted attempts count, the first repeat of each, as in the tables.

    Args:
        session: where the denoisers lie, and what computes.
        subject: the classifier and its images.
        attack_id: of the attack.
        seed: of its attempts.
        count: of rows, at most.

    Raises:
        UsageError: there is no such attempt.
    """
    with reading(session.database) as engine:
        successes = [
            a
            for a in outcomes.successes(engine, subject.model.id, dataset_id=subject.dataset_id)
            if (a.attack_id, a.seed, a.target, a.repeat) == (attack_id, seed, None, 0)
        ]
        denoisers = applied_denoisers(engine, subject)
    if not successes:
        raise UsageError(
            f"classifier {subject.model.id} has no successful attempt of attack {attack_id} with "
            f"the seed {seed}",
            f"pixguard attack --dataset {shell_word(subject.dataset.info.name)}",
        )
    by_class: dict[str, list[outcomes.StoredAttempt]] = {}
    for attempt in successes:
        by_class.setdefault(attempt.label_code, []).append(attempt)
    ranked = sorted(
        (rank, code, attempt)
        for code, attempts in by_class.items()
        for rank, attempt in ((r, a.id) for r, a in enumerate(attempts))
    )
    wanted = [attempt_id for _, _, attempt_id in ranked[:count]]
    chosen = sorted((a for a in successes if a.id in wanted), key=lambda a: wanted.index(a.id))
    clean, attacked = adversarial_images(session, subject.dataset, chosen)
    columns: dict[str, Tensor] = {"clean": clean, "attacked": attacked}
    for stored in denoisers:
        if not changes_nothing(stored.record.architecture):
            denoiser = load_denoiser(session, stored, subject.dataset.info.channels)
            columns[label(stored)] = restore(denoiser, attacked, batch=len(chosen))
    return [
        PanelRow(
            attempt.image_index,
            {
                name: _tile(subject, images[position], attempt.label_code)
                for name, images in columns.items()
            },
            tuple((p.row, p.col) for p in attempt.pixels),
        )
        for position, attempt in enumerate(chosen)
    ]


def _tile(subject: Subject, image: Tensor, truth: str) -> Tile:
    decision = subject.classifier.decide(canonical_logits(subject.classifier, image[None]))[0]
    info = subject.dataset.info
    code = ",".join(map(str, decision.label_set))
    pixels = image.mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Tile(pixels, info.describe_code(code), decision.confidence, code == truth)
