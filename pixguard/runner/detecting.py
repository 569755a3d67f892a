"""Lets detectors score clean images and attacked ones: what raises an alarm, and what does not."""

import math
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from pixguard.config import DatasetRequest
from pixguard.datasets.base import ImageDataset
from pixguard.defences.detectors.scoring import score_images
from pixguard.errors import UsageError
from pixguard.records import DetectionRecord, Split
from pixguard.runner.chunks import in_chunks
from pixguard.runner.denoiser_training import indices_of_class
from pixguard.runner.detectors import find_detectors, label, load_detector, normal_class
from pixguard.runner.restoring import adversarial_images, chunks_alike
from pixguard.runner.session import Session
from pixguard.runner.subject import describe, open_registered
from pixguard.store import outcomes, reader
from pixguard.store.detections import StoredDetection, detections
from pixguard.store.engine import reading
from pixguard.store.outcomes import AttackedImage, StoredAttempt
from pixguard.store.reader import LATEST, StoredModel
from pixguard.store.writer import Writer

FALSE_ALARMS = (0.01, 0.05)
"""Shares of false alarms that thresholds are reported for."""


def apply(
    session: Session,
    request: DatasetRequest,
    selectors: Sequence[str],
    classifier: str,
) -> dict[str, Any]:
    """Score images with each detector, and store what it says.

    Scored are all test images, the validation images of the detector's normal class, and, where
    a classifier was attacked, the images that fooled it with their clean ones. What the database
    holds already is left out, so a run that was interrupted goes on.

    Args:
        session: where to work.
        request: the dataset.
        selectors: as :func:`~pixguard.runner.detectors.find_detectors` takes them.
        classifier: an id, an architecture, or latest: the newest that was attacked, if any.

    Returns:
        What ``pixguard detect apply --json`` prints.

    Raises:
        UsageError: there is no such detector or attacked classifier.
        InterruptedRunError: a stop was requested; the finished detections are committed.
    """
    with reading(session.database) as engine:
        chosen = find_detectors(engine, request, selectors)
        attacked = _attacked_classifier(engine, chosen[0], classifier)
        dataset = open_registered(engine, chosen[0].dataset_id, request, session.display)
    if not len(dataset.indices("test")):
        raise UsageError(
            f"{dataset.info.name!r} has no test images",
            "`split=paper`, in training, keeps one image in five for the test",
        )
    session.display.say(f"dataset {describe(dataset.info)}; {len(chosen)} detectors")
    config = {"detectors": [m.id for m in chosen], "classifier": attacked and attacked.id}
    with session.writer(config, seed=0) as writer:
        fooling = []
        if attacked:
            fooling = outcomes.successes(writer.engine, attacked.id, dataset_id=attacked.dataset_id)
        if attacked is None:
            session.display.say("no classifier was attacked: only clean images are scored")
        results = {
            label(stored): _Application(session, writer, dataset, stored).run(fooling)
            for stored in chosen
        }
    return {
        "dataset": dataset.info.name,
        "classifier": attacked and attacked.id,
        "attacked": len(fooling),
        "detectors": results,
    }


def _attacked_classifier(
    engine: Engine, detector: StoredModel, selector: str
) -> StoredModel | None:
    """Return the newest classifier of the detector's dataset that a user means and attacked.

    Raises:
        UsageError: one was named that does not exist, or was not attacked.
    """
    known = reader.models(engine, kind="classifier", dataset_id=detector.dataset_id)
    matching = [m for m in known if selector in (LATEST, str(m.id), m.record.architecture)]
    attacked = [m for m in matching if reader.attempt_keys(engine, m.id, detector.dataset_id)]
    if attacked:
        return attacked[-1]
    if selector == LATEST:
        return None
    if matching:
        raise UsageError(
            f"classifier {matching[-1].id} has not been attacked yet",
            f"pixguard attack --dataset {detector.dataset_name} --model {matching[-1].id}",
        )
    choices = ", ".join(f"{m.id} ({m.record.architecture})" for m in known) or "none"
    raise UsageError(
        f"no classifier {selector!r} of this {detector.dataset_name!r} is registered; there is "
        f"{choices}",
        "leave `model=...` out to score clean images alone",
    )


class _Application:
    """One detector on one dataset."""

    def __init__(
        self, session: Session, writer: Writer, dataset: ImageDataset, stored: StoredModel
    ) -> None:
        self._session, self._writer, self._dataset = session, writer, dataset
        self._stored = stored
        self._detector = load_detector(session, stored, dataset.info.channels)
        self._present = detections(writer.engine, stored.id)

    def run(self, fooling: Sequence[StoredAttempt]) -> dict[str, Any]:
        """Score what was not scored yet; return how much that was, and how it turned out."""
        clean = self._clean_images()
        counts = {}
        for kind, images in (("clean", clean), ("attacked", fooling)):
            counts[f"{kind}_found"], counts[f"{kind}_scored"] = self._score_all(images, kind)
        return {**counts, **self._figures(clean)}

    def _clean_images(self) -> list[AttackedImage]:
        normal = normal_class(self._stored)
        indices = [
            *map(int, indices_of_class(self._dataset, "val", normal)),
            *map(int, self._dataset.indices("test")),
        ]
        ids = self._writer.images(self._stored.dataset_id, self._dataset.records(indices))
        return [AttackedImage(ids[index], index, "") for index in indices]

    def _score_all(
        self, images: Sequence[StoredAttempt] | Sequence[AttackedImage], kind: str
    ) -> tuple[int, int]:
        """Return how many were found, and how many scored now."""
        todo = [i for i in images if (i.attempt_id, i.image_id) not in self._present]
        done = flagged = 0
        title = f"{kind} images, normal: {normal_class(self._stored)}"
        for chunk, note in in_chunks(
            self._session,
            title,
            chunks_alike(self._dataset, todo),
            len(todo),
            kept="the finished detections are committed",
            writer=self._writer,
        ):
            flagged += self._score(chunk)
            done += len(chunk)
            note(f"{100 * flagged / done:.1f} % flagged")
        return len(images) - len(todo), done

    def _score(self, chunk: Sequence[StoredAttempt | AttackedImage]) -> int:
        """Score and store a chunk; return how many raised an alarm."""
        started = time.perf_counter()
        _, images = adversarial_images(self._session, self._dataset, chunk)
        scores = score_images(self._detector, images).tolist()
        elapsed_ms = (time.perf_counter() - started) * 1000 / len(chunk)
        for source, score in zip(chunk, scores, strict=True):
            found = StoredDetection(score, score > 0)
            self._present[source.attempt_id, source.image_id] = found
            self._writer.detection(
                DetectionRecord(
                    image_index=source.image_index,
                    attempt_id=source.attempt_id,
                    score=score,
                    flagged=found.flagged,
                    elapsed_ms=elapsed_ms,
                ),
                image_id=source.image_id,
                detector_id=self._stored.id,
            )
        return sum(score > 0 for score in scores)

    def _figures(self, clean: Sequence[AttackedImage]) -> dict[str, Any]:
        """Return how often normal images raise an alarm, others do, and thresholds for fewer.

        A threshold is taken on validation images, and what it does is told of test images.
        """
        stored = self._stored
        splits: tuple[Split, ...] = ("val", "test")
        normal = {
            int(index)
            for split in splits
            for index in indices_of_class(self._dataset, split, normal_class(stored))
        }
        test = set(map(int, self._dataset.indices("test")))
        groups: dict[str, list[StoredDetection]] = {"validation": [], "normal": [], "others": []}
        for image in clean:
            index = image.image_index
            name = "validation" if index not in test else "normal" if index in normal else "others"
            groups[name].append(self._present[None, image.image_id])
        figures: dict[str, Any] = {}
        for name, group in groups.items():
            figures |= {name: len(group), f"{name}_flagged": sum(d.flagged for d in group)}
        for share in FALSE_ALARMS:
            threshold = threshold_for([d.score for d in groups["validation"]], share)
            if threshold is not None:
                counts = {
                    f"{name}_flagged": sum(d.score > threshold for d in groups[name])
                    for name in ("normal", "others")
                }
                figures[f"threshold_{share:g}"] = {"score": threshold, **counts}
        return figures


def threshold_for(scores: Sequence[float], share: float) -> float | None:
    """Return the lowest score that at most a share of the scores exceed.

    Args:
        scores: of normal images.
        share: in (0, 1).

    Returns:
        The threshold; None with so few scores that the share is less than one of them.
    """
    allowed = math.floor(share * len(scores) + 1e-9)
    return sorted(scores, reverse=True)[allowed] if allowed else None
