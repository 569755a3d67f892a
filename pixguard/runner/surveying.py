"""Writes down what every pixel of images can do: proven, fooled or open."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pixguard.attacks.engine.margin_bounds import MarginBounds
from pixguard.attacks.engine.objectives import choose_objective
from pixguard.attacks.engine.proof import LEVELS
from pixguard.attacks.engine.survey import Survey, Surveyor
from pixguard.classifiers.evaluation import judge
from pixguard.datasets.base import Images
from pixguard.errors import UsageError
from pixguard.inference.choice import choose_evaluator
from pixguard.records import PIXEL_SURVEY, CertificateRecord, LabelSet
from pixguard.runner.chunks import cut, in_chunks, mixed
from pixguard.runner.judging import judge_test_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store.certificates import certificates
from pixguard.words import shell_word


def survey_pixels(
    session: Session, subject: Subject, limit: int | None, most_bounds: int
) -> dict[str, Any]:
    """Survey correctly classified test images that the database holds no survey of yet.

    Args:
        session: where, and who watches.
        subject: a classifier of images of one size.
        limit: at most that many images, drawn without a look at them or their classes; a larger
            limit contains a smaller one. None: all.
        most_bounds: an image, in colour; an image that another budget left open is surveyed anew.

    Returns:
        What ``pixguard certify pixels --json`` prints, over all images that were asked for.

    Raises:
        UsageError: the images have sizes of their own, or none is classified correctly.
        InterruptedRunError: a stop was requested; the finished surveys are committed.
    """
    info, dataset, started = subject.dataset.info, subject.dataset, time.monotonic()
    if info.is_native:
        raise UsageError(
            "a survey is of images of one size, and these have sizes of their own",
            "leave `attack_at=native` out",
        )
    method, found = f"{PIXEL_SURVEY} {most_bounds}", dict[int, CertificateRecord]()
    flips, seen, counts = Flips(info.size), list[int](), {"bounds": 0, "evaluations": 0}
    with session.writer({"limit": limit, "most_bounds": most_bounds}, seed=0) as writer:
        subject = subject.registered(writer)
        predictions = judge_test_images(session, writer, subject, session.again(0))
        right = [i for i, p in predictions.items() if p.predicted == dataset.label_set(i)]
        if not right:
            raise UsageError(
                f"classifier {subject.model.id} gets every test image of {info.name!r} wrong",
                f"pixguard train --dataset {shell_word(info.name)} --fresh-seed",
            )
        wanted = mixed(right)[:limit]
        kept = certificates(writer.engine, subject.model.id, method)
        found = {i: kept[i] for i in wanted if i in kept}
        todo = [i for i in wanted if i not in found]
        surveyor = _surveyor(session, subject, most_bounds)
        for (index,), note in in_chunks(
            session,
            "surveying pixels",
            cut(todo, 1),
            len(todo),
            kept="the finished surveys are committed",
            writer=writer,
        ):
            (image,) = dataset.images([index])
            clean = predictions[index].predicted
            survey = _survey(surveyor, session, subject, image, clean)
            record = CertificateRecord(index, method, clean, *_verdict(survey))
            ids = writer.images(subject.dataset_id, dataset.records([index]))
            writer.certificate(record, model_id=subject.model.id, image_id=ids[index])
            found[index] = record
            counts["bounds"] += survey.bounds
            counts["evaluations"] += survey.evaluations
            if survey.flips is not None:
                flips.take(survey.flips)
                seen.append(index)
            fooled = int(survey.fooled.sum())
            note(f"{fooled} pixels fooled, {int(survey.open.sum())} open in the last one")
        universal = _universal(session, subject, flips, seen)
    votes = np.array([found[i].votes for i in wanted])
    return {
        "run": writer.run_id,
        "dataset": info.name,
        "classifier": subject.model.id,
        "found": len(wanted) - len(todo),
        "made": len(todo),
        **counts,
        "images": len(wanted),
        "robust": sum(found[i].radius > 0 for i in wanted),
        "vulnerable": int((votes[:, 1:3].sum(1) > 0).sum()),
        "only_between_extremes": int(((votes[:, 1] == 0) & (votes[:, 2] > 0)).sum()),
        **{
            f"{name} %": round(100 * share, 3)
            for name, share in zip(
                ("proven", "fooled at extremes", "fooled only between", "open"),
                votes.sum(0) / votes.sum(),
                strict=True,
            )
        },
        "mean_vulnerable_pixels": round(float(votes[:, 1:3].sum(1).mean()), 3),
        **({"universal": universal} if universal else {}),
        "seconds": round(time.monotonic() - started, 1),
    }


class Flips:
    """How many images each value of each pixel flips, in grayscale."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._counts = np.zeros((side * side, LEVELS), dtype=np.int64)

    def take(self, flips: NDArray[np.int64]) -> None:
        """Take all that flip one image, int64 (n, 2): place and value."""
        self._counts[flips[:, 0], flips[:, 1]] += 1

    def best(self) -> tuple[int, int, int]:
        """Return row, column and value of what flips most images; of equals the first."""
        place, value = divmod(int(self._counts.argmax()), LEVELS)
        return place // self._side, place % self._side, value

    @property
    def any(self) -> bool:
        """Whether anything flips."""
        return bool(self._counts.any())


def _surveyor(session: Session, subject: Subject, most_bounds: int) -> Surveyor:
    info, classifier = subject.dataset.info, subject.classifier
    sides = (info.size, info.size)
    say = session.display.say
    evaluator = choose_evaluator(
        classifier, *sides, session.device, precision="float32", batch=49, say=say
    )
    evaluator.allocate(1, *sides, 1)
    objective = choose_objective(info.task, targeted=False)
    bounds = MarginBounds(classifier, objective, say)
    return Surveyor(classifier, evaluator, objective, bounds, most_bounds)


def _survey(
    surveyor: Surveyor,
    session: Session,
    subject: Subject,
    image: NDArray[np.uint8],
    clean: LabelSet,
) -> Survey:
    indicators = torch.zeros(
        1, subject.classifier.label_count, dtype=torch.bool, device=session.device
    )
    indicators[0, list(clean)] = True
    focus = torch.tensor([max(clean, default=0)], device=session.device)
    return surveyor(image, indicators, focus)


def _verdict(survey: Survey) -> tuple[tuple[int, ...], int]:
    """Return counts (proven, fooled at an extreme, only between, open), and the radius."""
    extreme = int(survey.at_extremes.sum())
    between, left = int(survey.fooled.sum()) - extreme, int(survey.open.sum())
    proven = survey.fooled.size - extreme - between - left
    return (proven, extreme, between, left), int(proven == survey.fooled.size)


def _universal(
    session: Session, subject: Subject, flips: Flips, seen: Sequence[int]
) -> dict[str, Any]:
    """Return the pixel and value that flip most of the images surveyed in this run, judged again.

    Empty where nothing flips, and in colour, where not all flips are looked for.
    """
    if not flips.any:
        return {}
    row, col, value = flips.best()

    def changed(image: Images) -> Images:
        image = image.copy()
        image[row, col] = value
        return image

    images = [changed(image) for image in subject.dataset.images(seen)]
    decisions = judge(subject.classifier, images, device=session.device)
    truths = map(subject.dataset.label_set, seen)
    fooled = sum(d.label_set != truth for d, truth in zip(decisions, truths, strict=True))
    return {"row": row, "col": col, "value": value, "fooled": fooled, "images": len(seen)}
