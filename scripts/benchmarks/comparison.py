"""What the peers' answers are worth, and what they cost."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.contenders import Answer, Budget, Contender
from benchmarks.subjects import Subject, decisions
from pixguard.classifiers.evaluation import canonical_logits

INSTALL = "not installed: uv pip install -e '.[bench]' -c constraints.txt"
PEERS = ("torchattacks", "art", "plain")
"""Those whose cost of a query does not depend on how many there are."""

OCT_IMAGES = 21_024
"""Images of the paper's Table 21, one pixel: 35 days on an RTX 3090."""

COLUMNS = {
    "name": "attack",
    "queries_per_second": "queries/s",
    "evaluated_share": "evaluated share",
    "seconds_per_image": "s/image",
    "queries_per_image": "queries/image",
    "seconds_per_budget": "s/budget",
    "times_torchattacks": "x torchattacks",
    "times_plain": "x plain loop",
    "claimed": "claimed",
    "survived": "survive 8 bits",
    "vanished": "vanish",
    "exact": "exactly k pixels",
    "note": "note",
}


def compare(
    subject: Subject,
    budget: Budget,
    contenders: Mapping[str, Contender],
    peer_generations: int | None = None,
    rounds: int = 1,
) -> list[dict[str, Any]]:
    """Let everybody attack the subject, one after the other; return a row for each.

    Args:
        subject: what is attacked.
        budget: for each image.
        contenders: by name.
        peer_generations: a smaller number of generations for :data:`PEERS`.
        rounds: how often everybody has a turn; the time is the median.
    """
    answers: dict[str, list[Answer]] = {name: [] for name in contenders}
    refusals: dict[str, str] = {}
    for _ in range(rounds):
        for name, contender in contenders.items():
            print(f"{name} ...", file=sys.stderr, flush=True)
            own = budget
            if name in PEERS and peer_generations is not None:
                own = Budget(budget.pixels, budget.population, peer_generations)
            try:
                answers[name].append(contender(subject, own))
            except ImportError as error:
                refusals[name] = f"{INSTALL} ({error})"
            except Exception as error:  # whatever a peer refuses with is a result
                refusals[name] = f"{type(error).__name__}: {error}"
    rows = [
        {"name": name, "note": refusals[name]}
        if name in refusals
        else {"name": name, **cost(given, budget), **worth(given[0], subject, budget)}
        for name, given in answers.items()
    ]
    for other in ("torchattacks", "plain"):
        theirs = next((r.get("seconds_per_budget") for r in rows if r["name"] == other), None)
        for row in rows:
            if theirs and "seconds_per_budget" in row:
                row[f"times_{other}"] = theirs / row["seconds_per_budget"]
    return rows


def cost(answers: Sequence[Answer], budget: Budget) -> dict[str, Any]:
    """Return what an attack cost, by the median of its answers' times.

    ``seconds_per_budget`` is for as many queries as were meant.
    """
    answer = answers[0]
    images, queries = len(answer.images), max(1, answer.queries)
    rounds = [given.seconds for given in answers]
    seconds = statistics.median(rounds)
    seconds_per_budget = seconds / queries * budget.queries
    return {
        "images": images,
        "queries": answer.queries,
        "evaluated": answer.evaluated,
        "evaluated_share": answer.evaluated / queries,
        "seconds": seconds,
        "rounds": rounds,
        "seconds_per_image": seconds / images,
        "queries_per_image": answer.queries / images,
        "queries_per_second": answer.queries / seconds,
        "evaluated_per_second": answer.evaluated / seconds,
        "seconds_per_budget": seconds_per_budget,
        "oct_hours": seconds_per_budget * OCT_IMAGES / 3600,
        "note": answer.note,
    }


def worth(answer: Answer, subject: Subject, budget: Budget) -> dict[str, int]:
    """Count the successes of an answer, and what is left of them in a file of 8 bits.

    Returns:
        ``claimed``: as the attack says, or as the classifier sees the floats that came back;
        ``survived``: of these, those that fool it after rounding to 8 bits, by the canonical
        evaluation; ``vanished``: the others; ``exact``: of the survivors, those in which exactly
        as many pixels as ordered differ from the clean image.
    """
    claims = answer.claims
    if claims is None:
        claims = _fooled(answer, subject)
    stored = np.rint(answer.images * 255.0).clip(0, 255).astype(np.uint8)
    fooled = decisions(subject.classifier, stored, subject.device) != subject.labels
    changed = (stored != subject.images).any(axis=-1).sum(axis=(1, 2))
    survived = claims & fooled
    return {
        "claimed": int(claims.sum()),
        "survived": int(survived.sum()),
        "vanished": int((claims & ~fooled).sum()),
        "exact": int((survived & (changed == budget.pixels)).sum()),
    }


def _fooled(answer: Answer, subject: Subject) -> np.ndarray:
    """Return bool (N,): which images fool the classifier as they came back, in floats."""
    images = torch.from_numpy(np.ascontiguousarray(answer.images, dtype=np.float32))
    logits = [
        canonical_logits(subject.classifier.eval(), image[None].permute(0, 3, 1, 2))
        for image in images.to(subject.device)
    ]
    return torch.cat(logits).argmax(1).cpu().numpy() != subject.labels
