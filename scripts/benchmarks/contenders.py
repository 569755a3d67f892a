"""Those who are compared: each attacks the same images, and tells what it cost.

Peers are imported when they are asked for: they are no part of what pixguard needs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.subjects import Subject
from benchmarks.timing import counted, random_candidates, seconds_of, synchronised
from pixguard.attacks.engine.jobs import Job, Outcome
from pixguard.attacks.engine.objectives import misclassify
from pixguard.attacks.engine.packing import pack
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import Search
from pixguard.attacks.registry import (
    ATTACKS,
    DIFFERENTIAL_EVOLUTION,
    DifferentialEvolutionOptions,
)
from pixguard.config import EvaluatorName, PrecisionName
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import Work, choose_evaluator
from pixguard.inference.dense import DenseEvaluator
from pixguard.models.inputs import to_unit_range
from pixguard.progress import Silent
from pixguard.records import digest

PLANNED = 10**9
"""Candidates of a plan for which all forms are tried."""
ART_POPULATION = 400
"""ART's population is fixed: the largest multiple of the genes that is not above this."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an attempt may cost: as in the paper by default, 10,100 queries."""

    pixels: int = 1
    population: int = 100
    generations: int = 100

    @property
    def queries(self) -> int:
        """The initial population and all generations."""
        return self.population * (self.generations + 1)

    def search(self, remembers: bool = True) -> Search:
        """Return pixguard's search with this budget; it may forget what it asked for before."""
        entry = replace(ATTACKS[DIFFERENTIAL_EVOLUTION], revisits=remembers)
        options = DifferentialEvolutionOptions(self.population, self.generations)
        search: Search = entry.load()(entry, options, self.pixels, 1)
        return search


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from an attack on N images.

    Attributes:
        images: float (N, H, W, C) in [0, 1], the images that it returned.
        claims: bool (N,), which of them it calls successes; None: it leaves that to the reader.
        queries: candidates that the attempts asked for, all images together.
        evaluated: candidates that the network was really run for.
        seconds: for all images.
        note: what the reader must know.
    """

    images: NDArray[np.floating]
    claims: NDArray[np.bool_] | None
    queries: int
    evaluated: int
    seconds: float
    note: str = ""


Contender = Callable[[Subject, Budget], Answer]


def torchattacks_one_pixel(subject: Subject, budget: Budget, batch: int) -> Answer:
    """Attack with ``torchattacks.OnePixel``.

    It makes the population a multiple of the genes (99 for one gray pixel) and asks for the best
    individual once more after each generation; steps and population are given as they are.
    """
    from torchattacks import OnePixel

    attack = OnePixel(
        subject.classifier, budget.pixels, budget.generations, budget.population, batch
    )
    images = to_unit_range(subject.images, subject.device)
    labels = torch.from_numpy(subject.labels).to(subject.device)
    np.random.seed(0)  # it has no seed of its own
    with counted(subject.classifier) as count:
        started = synchronised(subject.device)
        returned = attack(images, labels)
        seconds = synchronised(subject.device) - started
    adversarial = returned.permute(0, 2, 3, 1).cpu().numpy()
    return Answer(adversarial, None, count[0], count[0], seconds, f"inf_batch {batch}")


def art_pixel_attack(subject: Subject, budget: Budget) -> Answer:
    """Attack with ART's ``PixelAttack``, by differential evolution, of exactly k pixels.

    Its population of about 400 and its batch of 128 cannot be chosen: it gets as many generations
    as make the same number of queries.
    """
    from art.attacks.evasion import PixelAttack
    from art.estimators.classification import PyTorchClassifier

    size, channels = subject.images.shape[1], subject.images.shape[3]
    estimator = PyTorchClassifier(
        subject.classifier,
        loss=nn.CrossEntropyLoss(),
        input_shape=(channels, size, size),
        nb_classes=subject.classifier.label_count,
        clip_values=(0.0, 1.0),
        device_type="gpu" if subject.device.type == "cuda" else "cpu",
    )
    genes = budget.pixels * (2 + channels)
    population = ART_POPULATION // genes * genes
    generations = max(1, round(budget.queries / population) - 1)
    attack = PixelAttack(estimator, th=budget.pixels, es=1, max_iter=generations)
    images = to_unit_range(subject.images, subject.device).cpu().numpy()
    note = f"population {population}, {generations} generations"
    np.random.seed(0)
    with counted(subject.classifier) as count:
        started = synchronised(subject.device)
        try:
            returned = attack.generate(images, subject.labels)
        except ValueError as error:
            if subject.classifier.label_count != 2:
                raise
            note += f'; refuses labels of two classes ("{error}"), run on its own predictions'
            count[0], started = 0, synchronised(subject.device)
            returned = attack.generate(images)
        seconds = synchronised(subject.device) - started
    return Answer(returned.transpose(0, 2, 3, 1), None, count[0], count[0], seconds, note)


def plain_loop(subject: Subject, budget: Budget, batch: int) -> Answer:
    """Attack one image at a time, its population in batches, in float32, nothing left out."""
    evaluator = DenseEvaluator(subject.classifier, batch)
    return run_search(subject, budget, evaluator, 1, False, f"batch {batch}")


def pixguard(
    subject: Subject,
    budget: Budget,
    *,
    evaluator: EvaluatorName,
    precision: PrecisionName = "auto",
    batch: int | None = None,
    slots: int | None = None,
) -> Answer:
    """Attack as ``pixguard attack`` does: many images at once, repeated candidates answered once.

    Args:
        subject: what is attacked.
        budget: for each image.
        evaluator: dense, delta, or auto: what measuring takes, which is not counted.
        precision: of the evaluator.
        batch: candidates evaluated at a time; None: as pixguard chooses.
        slots: images at a time; None: see :func:`fit`.
    """
    said: list[str] = []
    chosen = make_evaluator(subject, evaluator, precision, batch, said)
    slots = slots or fit(chosen, len(subject.images), budget)
    said.append(f"batch {chosen.batch}, {slots} images at a time, {chosen.precision}")
    if evaluator not in (chosen.name, "auto"):
        said.insert(0, f"NOT {evaluator}: {chosen.name} took its place")
    return run_search(subject, budget, chosen, slots, note="; ".join(said))


def make_evaluator(
    subject: Subject,
    evaluator: EvaluatorName,
    precision: PrecisionName,
    batch: int | None,
    said: list[str],
) -> Evaluator:
    """Return pixguard's evaluator for a subject; what it says goes to ``said``."""
    height, width = subject.images.shape[1:3]
    return choose_evaluator(
        subject.classifier,
        height,
        width,
        subject.device,
        evaluator=evaluator,
        precision=precision,
        batch=batch,
        work=Work(PLANNED, PLANNED) if evaluator == "auto" else None,
        say=said.append,
    )


def fit(evaluator: Evaluator, images: int, budget: Budget) -> int:
    """Return how many images ``pixguard attack`` would take at a time; the batch is cut to them."""
    return pack(evaluator, budget.search(), images, images)


def run_search(
    subject: Subject,
    budget: Budget,
    evaluator: Evaluator,
    slots: int,
    remembers: bool = True,
    note: str = "",
) -> Answer:
    """Run a search of pixguard on all images; warming up is not counted."""
    warm_up(evaluator, subject, budget.pixels)
    started = synchronised(subject.device)
    outcomes = list(schedule(subject, budget, evaluator, slots, remembers))
    seconds = synchronised(subject.device) - started
    images = subject.images.copy()
    claims = np.zeros(len(images), dtype=bool)
    for outcome in outcomes:
        place = int(outcome.job.key[:8], 16)
        rows, cols = outcome.positions.T
        images[place, rows, cols] = outcome.colours
        claims[place] = outcome.success
    queries = sum(outcome.queries for outcome in outcomes)
    distinct = [o.queries if o.distinct_queries is None else o.distinct_queries for o in outcomes]
    return Answer(images / 255.0, claims, queries, sum(distinct), seconds, note)


def schedule(
    subject: Subject,
    budget: Budget,
    evaluator: Evaluator,
    slots: int,
    remembers: bool = True,
) -> list[Outcome]:
    """Attack every image once; the first 8 digits of an attempt's key are the image's place."""
    jobs = [
        Job(f"{place:08x}{digest(place)[8:]}", image, (int(label),), int(label))
        for place, (image, label) in enumerate(zip(subject.images, subject.labels, strict=True))
    ]
    scheduler = Scheduler(
        subject.classifier,
        evaluator,
        budget.search(remembers),
        misclassify,
        slots=slots,
        device=subject.device,
    )
    return list(scheduler.run(jobs, Silent()))


def warm_up(evaluator: Evaluator, subject: Subject, pixels: int) -> None:
    """Evaluate one full batch, so that no first time is measured."""
    height, width, channels = subject.images.shape[1:]
    evaluator.allocate(1, height, width, pixels)
    evaluator.load(0, to_unit_range(subject.images[:1], subject.device)[0])
    candidates = random_candidates(
        evaluator.batch, 1, (height, width, channels), pixels, subject.device
    )
    evaluator.logits(*candidates)


def best_batch(subject: Subject, budget: Budget, most: int | None = None) -> int:
    """Return the part of a population that the dense network evaluates fastest.

    One image's population is all that a one-image loop can put into a batch.
    """
    parts = {-(-budget.population // n) for n in (1, 2, 4, 10, 25)}
    parts = {part for part in parts if most is None or part <= most} or {1}
    height, width, channels = subject.images.shape[1:]
    shape, device = (height, width, channels), subject.device
    candidates = random_candidates(budget.population, 1, shape, budget.pixels, device)
    seconds = dict.fromkeys(sorted(parts), math.inf)
    for _ in range(2):  # the better of two: others may be using the machine
        for batch in seconds:
            evaluator = DenseEvaluator(subject.classifier, batch)
            warm_up(evaluator, subject, budget.pixels)
            seconds[batch] = min(seconds[batch], seconds_of(evaluator, candidates, device))
    return min(seconds, key=lambda batch: seconds[batch])


def contenders(
    batch: int,
    *,
    precision: PrecisionName = "auto",
    engine_batch: int | None = None,
    slots: int | None = None,
) -> dict[str, Contender]:
    """Return everybody by name; ``batch`` is for those who take one image at a time."""
    engine = partial(pixguard, precision=precision, batch=engine_batch, slots=slots)
    return {
        "torchattacks": partial(torchattacks_one_pixel, batch=batch),
        "art": art_pixel_attack,
        "plain": partial(plain_loop, batch=batch),
        "dense": partial(engine, evaluator="dense"),
        "delta": partial(engine, evaluator="delta"),
        "measured": partial(engine, evaluator="auto"),
    }
