"""Reads back what a detector has scored."""

from dataclasses import dataclass

from sqlalchemy import Engine, select

from pixguard.store.tables import Detection


@dataclass(frozen=True, slots=True)
class StoredDetection:
    """A detector's score of an image, and whether it raised an alarm."""

    score: float
    flagged: bool


def detections(engine: Engine, detector_id: int) -> dict[tuple[int | None, int], StoredDetection]:
    """Return what a detector has scored, by (attempt id, image id).

    The attempt id is None where the clean image was scored.
    """
    query = select(
        Detection.attempt_id, Detection.image_id, Detection.score, Detection.flagged
    ).where(Detection.detector_id == detector_id)
    with engine.connect() as connection:
        return {
            (attempt_id, image_id): StoredDetection(score, bool(flagged))
            for attempt_id, image_id, score, flagged in connection.execute(query)
        }
