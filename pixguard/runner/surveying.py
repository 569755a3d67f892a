"""Writes down what every pixel of images can do: proven, fooled or open."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pixguard.attacks.engine.margin_bounds import MarginBounds
from pixguard.attacks.engine.objectives import choose_objective
from pixguard.attacks.engine.survey import Survey, Surveyor
from pixguard.config import AttackSettings
from pixguard.errors import UsageError
from pixguard.inference.base import Evaluator
from pixguard.inference.choice import choose_evaluator
from pixguard.records import (
    PIXEL_MAP,
    PIXEL_SURVEY,
    PIXEL_UNIVERSAL,
    CertificateRecord,
    DatasetInfo,
    LabelSet,
    PixelMap,
    PredictionRecord,
    UniversalPixels,
)
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.judging import judge_test_images
from pixguard.runner.mapping import pixel_map
from pixguard.runner.plan import select_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.runner.universal import Change, Universal
from pixguard.store.certificates import certificates, of_surveys
from pixguard.store.writer import Writer
from pixguard.words import shell_word


def survey_pixels(
    session: Session, subject: Subject, limit: int | None, most_bounds: int, universal: int
) -> dict[str, Any]:
    """Survey correctly classified test images that the database holds no survey of yet.

    Args:
        session: where, and who watches.
        subject: a classifier of images of one size.
        limit: at most that many images: those of an attack with the same limit and seed 0. None:
            all.
        most_bounds: an image, in colour; an image that another budget left open is surveyed anew.
        universal: how many pixels to choose that, together, fool most of these images.

    Returns:
        What ``pixguard certify pixels --json`` prints, over all images that were asked for.

    Raises:
        UsageError: the images have sizes of their own, or none is classified correctly.
        InterruptedRunError: a stop was requested; the finished surveys are committed.
    """
    info, dataset, started = subject.dataset.info, subject.dataset, time.monotonic()
    refuse_native(info)
    method, map_method = f"{PIXEL_SURVEY} {most_bounds}", f"{PIXEL_MAP} {most_bounds}"
    counts = {"bounds": 0, "evaluations": 0}
    config = {"limit": limit, "most_bounds": most_bounds, "universal": universal}
    with session.writer(config, seed=0) as writer:
        subject = subject.registered(writer)
        predictions = judge_test_images(session, writer, subject, session.again(0))
        wanted = images_to_survey(subject, predictions, limit)
        model_id = subject.model.id
        found = certificates(writer.engine, model_id, method)
        maps = of_surveys(writer.engine, model_id, map_method, PixelMap)
        # A survey of a version that kept no maps is made again.
        todo = [i for i in wanted if i not in found or i not in maps]
        surveyor, evaluator = open_surveyor(session, subject, most_bounds)
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
            survey = surveyor(image, *indicators_of(subject, clean))
            maps[index] = pixel_map(
                surveyor, survey, image, index=index, method=map_method, clean=clean
            )
            found[index] = CertificateRecord(index, method, clean, *_verdict(survey))
            ids = writer.images(subject.dataset_id, dataset.records([index]))
            for record in (found[index], maps[index]):
                writer.certificate(record, model_id=model_id, image_id=ids[index])
            counts["bounds"] += survey.bounds
            counts["evaluations"] += survey.evaluations
            fooled = int(survey.fooled.sum())
            note(f"{fooled} pixels fooled, {int(survey.open.sum())} open in the last one")
        chooser = Universal(subject, surveyor, evaluator, maps)
        chosen = _choose(session, writer, subject, chooser, wanted, universal)
    votes = np.array([found[i].votes for i in wanted])
    least = [change for i in wanted if (change := maps[i].least_change) is not None]
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
        "median_least_change": float(np.median(least)) if least else None,
        "universal": chosen,
        "seconds": round(time.monotonic() - started, 1),
    }


def _choose(
    session: Session,
    writer: Writer,
    subject: Subject,
    chooser: Universal,
    wanted: Sequence[int],
    count: int,
) -> list[dict[str, Any]]:
    """Choose pixels that fool most images, keep them, and return what each adds.

    What the database holds of the same number for as many images is not done again.
    """
    method = f"{PIXEL_UNIVERSAL} {count} of {len(wanted)}"
    kept: Mapping[int, UniversalPixels] = of_surveys(
        writer.engine, subject.model.id, method, UniversalPixels
    )
    if not kept.keys() >= set(wanted):
        changes: list[Change] = []
        fooled: list[list[bool]] = [[] for _ in wanted]
        most = 0
        for number in range(count):
            chunks = in_chunks(
                session,
                f"choosing universal pixel {number + 1} of {count}",
                cut(wanted, 1),
                len(wanted),
                kept="the surveys are committed",
            )
            found = chooser.next((index for (index,), _ in chunks), changes)
            if found is None or found[1] <= most:
                break  # one more fools no more of them
            changes.append(found[0])
            most = found[1]
            for row, wrong in zip(fooled, chooser.judged(wanted, changes), strict=True):
                row.append(wrong)
        dataset = subject.dataset
        ids = writer.images(subject.dataset_id, dataset.records(wanted))
        kept = {
            i: UniversalPixels(i, method, dataset.label_set(i), tuple(changes), tuple(row))
            for i, row in zip(wanted, fooled, strict=True)
        }
        for i, record in kept.items():
            writer.certificate(record, model_id=subject.model.id, image_id=ids[i])
    rows = [kept[i] for i in wanted]
    return [
        {
            "row": row,
            "col": col,
            "value": colour[0] if len(colour) == 1 else list(colour),
            "fooled": sum(one.fooled[n] for one in rows),
            "images": len(rows),
        }
        for n, (row, col, colour) in enumerate(rows[0].pixels)
    ]


def refuse_native(info: DatasetInfo) -> None:
    """Refuse images of sizes of their own."""
    if info.is_native:
        raise UsageError(
            "a survey is of images of one size, and these have sizes of their own",
            "leave `attack_at=native` out",
        )


def images_to_survey(
    subject: Subject, predictions: Mapping[int, PredictionRecord], limit: int | None
) -> list[int]:
    """Return the images that an attack with the same limit and seed 0 is tried on."""
    settings = AttackSettings(limit=limit, per_class=0)
    wanted = select_images(subject.dataset, predictions, settings)
    if not wanted:
        name = subject.dataset.info.name
        raise UsageError(
            f"classifier {subject.model.id} gets every test image of {name!r} wrong",
            f"pixguard train --dataset {shell_word(name)} --fresh-seed",
        )
    return wanted


def open_surveyor(
    session: Session, subject: Subject, most_bounds: int
) -> tuple[Surveyor, Evaluator]:
    """Return what surveys a classifier's images, and its evaluator of candidates."""
    info, classifier = subject.dataset.info, subject.classifier
    sides = (info.size, info.size)
    say = session.display.say
    evaluator = choose_evaluator(
        classifier, *sides, session.device, precision="float32", batch=49, say=say
    )
    evaluator.allocate(1, *sides, 1)
    objective = choose_objective(info.task, targeted=False)
    bounds = MarginBounds(classifier, objective, say)
    return Surveyor(classifier, evaluator, objective, bounds, most_bounds), evaluator


def indicators_of(subject: Subject, clean: LabelSet) -> tuple[Tensor, Tensor]:
    """Return a decision as bool (1, L), and as int64 (1,) the class that a flip is about."""
    device = subject.classifier.mean.device
    indicators = torch.zeros(1, subject.classifier.label_count, dtype=torch.bool, device=device)
    indicators[0, list(clean)] = True
    return indicators, torch.tensor([max(clean, default=0)], device=device)


def _verdict(survey: Survey) -> tuple[tuple[int, ...], int]:
    """Return counts (proven, fooled at an extreme, only between, open), and the radius."""
    extreme = int(survey.at_extremes.sum())
    between, left = int(survey.fooled.sum()) - extreme, int(survey.open.sum())
    proven = survey.fooled.size - extreme - between - left
    return (proven, extreme, between, left), int(proven == survey.fooled.size)
