"""Lets detectors score clean images and attacked ones: what raises an alarm, and what does not."""

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from torch import Tensor

from pixguard.config import DatasetRequest
from pixguard.datasets.base import ImageDataset
from pixguard.defences.detectors.scoring import score_images
from pixguard.errors import UsageError
from pixguard.records import DetectionRecord, digest
from pixguard.registry import suggestion
from pixguard.runner.applying import Application, Source
from pixguard.runner.detectors import find_detectors, load_detector, normal_class, watch_of
from pixguard.runner.images import indices_of_normal
from pixguard.runner.session import Session
from pixguard.runner.subject import describe, open_registered
from pixguard.shards import Shard
from pixguard.store import outcomes, reader
from pixguard.store.detections import StoredDetection, detections
from pixguard.store.engine import reading
from pixguard.store.outcomes import AttackedImage, StoredAttempt
from pixguard.store.reader import LATEST, StoredModel
from pixguard.store.writer import Writer
from pixguard.words import shell_word

FALSE_ALARMS = (0.001, 0.01, 0.05)
"""Shares of false alarms that thresholds are reported for."""


def apply(
    session: Session,
    request: DatasetRequest,
    selectors: Sequence[str],
    classifier: str,
    shard: str | None = None,
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
        shard: the part of the images and of the attempts that is scored, such as ``3/16``; None:
            all.

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
        fooling, part = list[StoredAttempt](), None if shard is None else Shard.parse(shard)
        if attacked:
            fooling = outcomes.successes(
                writer.engine, attacked.id, dataset_id=attacked.dataset_id, shard=part
            )
        if attacked is None:
            session.display.say("no classifier was attacked: only clean images are scored")
        for stored in chosen:
            asked = stored.record.parameters.get("classifier")
            if attacked and asked not in (None, attacked.record.weights_sha256):
                session.display.say(
                    f"detector {stored.id} asks another classifier than the attacked {attacked.id}"
                )
        results = [
            {
                "id": stored.id,
                "name": stored.record.architecture,
                "normal_class": normal_class(stored),
                **_Detection(session, writer, dataset, stored, part).run_on(fooling),
            }
            for stored in chosen
        ]
    return {
        "run": writer.run_id,
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
    matching = [m for m in known if m.is_called(selector)]
    attacked = [m for m in matching if reader.attempt_outcomes(engine, m.id, detector.dataset_id)]
    if attacked:
        return reader.meant(attacked, selector)
    if selector == LATEST:
        return None
    if matching:
        raise UsageError(
            f"classifier {matching[-1].id} has not been attacked yet",
            f"pixguard attack --dataset {shell_word(detector.dataset_name)} "
            f"--model {matching[-1].id}",
        )
    choices = ", ".join(f"{m.id} ({m.record.architecture})" for m in known) or "none"
    raise UsageError(
        f"no classifier {selector!r} of this {detector.dataset_name!r} is registered; there is "
        f"{choices}",
        f"{suggestion(selector, [m.record.architecture for m in known])} Or leave `model=...` out"
        if known
        else "leave `model=...` out to score clean images alone",
    )


class _Detection(Application):
    """One detector on one dataset."""

    kept = "the finished detections are committed"

    def __init__(
        self,
        session: Session,
        writer: Writer,
        dataset: ImageDataset,
        stored: StoredModel,
        part: Shard | None,
    ) -> None:
        self._part = part
        self._found = detections(writer.engine, stored.id)
        super().__init__(session, writer, dataset, self._found)
        self._stored, self._normal = stored, normal_class(stored)
        watch = watch_of(writer.engine, stored)
        self._detector = load_detector(session, watch, dataset.info.channels)

    def run_on(self, fooling: Sequence[StoredAttempt]) -> dict[str, Any]:
        """Score what was not scored yet; return how much that was, and how it turned out."""
        clean = self._clean_images()
        counts: dict[str, int] = {}
        for kind, images in (("clean", clean), ("attacked", fooling)):
            title = f"{kind} images, normal: {self._normal}"
            found, scored, _ = self.apply(images, title, "flagged")
            counts |= {f"{kind}_found": found, f"{kind}_scored": scored}
        return {**counts, **self._figures(clean)}

    def _clean_images(self) -> list[AttackedImage]:
        indices = [
            *map(int, indices_of_normal(self.dataset, "val", self._normal)),
            *map(int, self.dataset.indices("test")),
        ]
        if self._part is not None:
            indices = [index for index in indices if self._part.holds(digest(index))]
        ids = self.writer.images(self._stored.dataset_id, self.dataset.records(indices))
        return [AttackedImage(ids[index], index, "") for index in indices]

    def run(self, images: Tensor) -> Sequence[float]:
        scores: list[float] = score_images(self._detector, images).tolist()
        return scores

    def store(self, source: Source, result: float, elapsed_ms: float) -> bool:
        """Store a score; return whether it raises an alarm."""
        found = StoredDetection(result, result > 0)
        self._found[source.attempt_id, source.image_id] = found
        self.writer.detection(
            DetectionRecord(
                image_index=source.image_index,
                attempt_id=source.attempt_id,
                score=result,
                flagged=found.flagged,
                elapsed_ms=elapsed_ms,
            ),
            image_id=source.image_id,
            detector_id=self._stored.id,
        )
        return found.flagged

    def _figures(self, clean: Sequence[AttackedImage]) -> dict[str, Any]:
        """Return how often normal images raise an alarm, others do, and thresholds for fewer.

        A threshold is taken on validation images, and what it does is told of test images.
        """
        normal = set(map(int, indices_of_normal(self.dataset, "test", self._normal)))
        test = set(map(int, self.dataset.indices("test")))
        groups: dict[str, list[StoredDetection]] = {"validation": [], "normal": [], "others": []}
        for image in clean:
            index = image.image_index
            name = "validation" if index not in test else "normal" if index in normal else "others"
            groups[name].append(self._found[None, image.image_id])
        figures: dict[str, Any] = {"thresholds": []}
        for name, group in groups.items():
            figures |= {name: len(group), f"{name}_flagged": sum(d.flagged for d in group)}
        for share in FALSE_ALARMS:
            threshold = threshold_for([d.score for d in groups["validation"]], share)
            if threshold is not None:
                counts = {
                    f"{name}_flagged": sum(d.score > threshold for d in groups[name])
                    for name in ("normal", "others")
                }
                found = {"false_alarms": share, "score": threshold, **counts}
                figures["thresholds"].append(found)
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
