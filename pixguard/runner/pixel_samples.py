"""Estimates what a survey would tell from some pixels of each image, drawn at random."""

import time
from typing import Any

from pixguard.records import PIXEL_SAMPLE, PixelSample
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.judging import judge_test_images
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.runner.surveying import (
    images_to_survey,
    indicators_of,
    open_surveyor,
    refuse_native,
)
from pixguard.store.certificates import of_surveys


def sample_pixels(
    session: Session, subject: Subject, limit: int | None, most_bounds: int, drawn: int
) -> dict[str, Any]:
    """Decide some pixels of correctly classified test images that the database holds no sample of.

    Every extreme colour of every pixel is tried; of the pixels that none flips some are decided for
    all colours. Which of an image is drawn from its index.

    Args:
        session: where, and who watches.
        subject: a classifier of images of one size.
        limit: at most that many images: those of a survey with the same limit.
        most_bounds: an image, in colour.
        drawn: how many pixels of each image.

    Returns:
        What ``pixguard certify pixels --drawn N --json`` prints, over all images that were asked
        for.

    Raises:
        UsageError: the images have sizes of their own, or none is classified correctly.
        InterruptedRunError: a stop was requested; the finished images are committed.
    """
    info, dataset, started = subject.dataset.info, subject.dataset, time.monotonic()
    refuse_native(info)
    method = f"{PIXEL_SAMPLE} {most_bounds} of {drawn}"
    counts = {"bounds": 0, "evaluations": 0}
    config = {"limit": limit, "most_bounds": most_bounds, "drawn": drawn}
    with session.writer(config, seed=0) as writer:
        subject = subject.registered(writer)
        predictions = judge_test_images(session, writer, subject, session.again(0))
        wanted = images_to_survey(subject, predictions, limit)
        model_id = subject.model.id
        found = of_surveys(writer.engine, model_id, method, PixelSample)
        todo = [i for i in wanted if i not in found]
        surveyor, _ = open_surveyor(session, subject, most_bounds)
        for (index,), note in in_chunks(
            session,
            "deciding pixels",
            cut(todo, 1),
            len(todo),
            kept="the finished images are committed",
            writer=writer,
        ):
            (image,) = dataset.images([index])
            clean = predictions[index].predicted
            one = surveyor.sample(image, *indicators_of(subject, clean), drawn, seed=index)
            extremes = tuple(
                divmod(int(place), info.size) for place in one.at_extremes.nonzero()[0]
            )
            counted = (one.proven, one.between, one.open)
            found[index] = PixelSample(index, method, clean, extremes, *counted)
            ids = writer.images(subject.dataset_id, dataset.records([index]))
            writer.certificate(found[index], model_id=model_id, image_id=ids[index])
            counts["bounds"] += one.bounds
            counts["evaluations"] += one.evaluations
            note(f"{len(extremes)} pixels fooled at extremes, {one.open} open in the last one")
    samples = [found[i] for i in wanted]
    extreme = sum(len(one.extremes) for one in samples)
    return {
        "run": writer.run_id,
        "dataset": info.name,
        "classifier": model_id,
        "found": len(wanted) - len(todo),
        "made": len(todo),
        **counts,
        "images": len(wanted),
        "vulnerable_at_extremes": sum(bool(one.extremes) for one in samples),
        "fooled_at_extremes %": round(100 * extreme / (len(samples) * info.size**2), 3),
        "drawn": sum(one.drawn for one in samples),
        "proven": sum(one.proven for one in samples),
        "fooled_only_between": sum(one.between for one in samples),
        "open": sum(one.open for one in samples),
        "seconds": round(time.monotonic() - started, 1),
    }
