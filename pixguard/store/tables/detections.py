"""How anomalous detectors find clean and attacked images."""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Detection(Base):
    """A detector's score of an image; the higher, the further from what it was trained on.

    ``attempt_id`` NULL means the clean image; then ``detection_key`` keeps the row unique, which a
    NULL in a unique constraint would not.
    """

    __tablename__ = "detection"
    __table_args__ = strict(CheckConstraint("flagged IN (0, 1)", name="flagged"))
    id: Mapped[int] = mapped_column(primary_key=True)
    detection_key: Mapped[str] = mapped_column(unique=True)
    attempt_id: Mapped[int | None] = reference("attempt")
    image_id: Mapped[int] = reference("image")
    detector_id: Mapped[int] = reference("model")
    run_id: Mapped[int] = reference("run")
    score: Mapped[float]
    flagged: Mapped[int]
    elapsed_ms: Mapped[float]
