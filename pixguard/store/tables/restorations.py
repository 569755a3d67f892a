"""What denoisers make of attacked, clean and noisy images, and how good it is."""

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Restoration(Base):
    """A denoiser's output as the classifier sees it.

    ``attempt_id`` NULL means the clean image itself was denoised (what the denoiser costs); then
    ``restoration_key`` keeps the row unique, which a NULL in a unique constraint would not.
    """

    __tablename__ = "restoration"
    __table_args__ = strict(CheckConstraint("recovered IN (0, 1)", name="recovered"))
    id: Mapped[int] = mapped_column(primary_key=True)
    restoration_key: Mapped[str] = mapped_column(unique=True)
    attempt_id: Mapped[int | None] = reference("attempt")
    image_id: Mapped[int] = reference("image")
    classifier_id: Mapped[int] = reference("model")
    denoiser_id: Mapped[int] = reference("model")
    run_id: Mapped[int] = reference("run")
    predicted: Mapped[str]
    confidence: Mapped[float]
    recovered: Mapped[int]
    elapsed_ms: Mapped[float]


class Metric(Base):
    """A metric; ``parameters`` states the data range and the constants that it was taken with."""

    __tablename__ = "metric"
    __table_args__ = strict(UniqueConstraint("name", "version"))
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    parameters: Mapped[str]


class Score(Base):
    """The value of a metric on a restoration against its clean image."""

    __tablename__ = "score"
    __table_args__ = strict(
        UniqueConstraint("restoration_id", "metric_id"),
        CheckConstraint("value_kind IN ('finite', 'inf', 'nan')", name="value_kind"),
        CheckConstraint("(value_kind = 'finite') = (value IS NOT NULL)", name="value"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    restoration_id: Mapped[int] = reference("restoration", index=False)
    metric_id: Mapped[int] = reference("metric")
    value: Mapped[float | None]
    value_kind: Mapped[str]


class Denoising(Base):
    """A noisy image restored by a denoiser: no attack, no classifier.

    ``noise`` names the kind of noise, ``level`` is its strength; the noise itself depends on them,
    ``seed`` and the image's index alone.
    """

    __tablename__ = "denoising"
    __table_args__ = strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    denoising_key: Mapped[str] = mapped_column(unique=True)
    denoiser_id: Mapped[int] = reference("model")
    image_id: Mapped[int] = reference("image")
    noise: Mapped[str]
    level: Mapped[float]
    seed: Mapped[int]
    run_id: Mapped[int] = reference("run")
    elapsed_ms: Mapped[float]


class DenoisingScore(Base):
    """The value of a metric on a denoising against its clean image."""

    __tablename__ = "denoising_score"
    __table_args__ = strict(
        UniqueConstraint("denoising_id", "metric_id"),
        CheckConstraint("value_kind IN ('finite', 'inf', 'nan')", name="value_kind"),
        CheckConstraint("(value_kind = 'finite') = (value IS NOT NULL)", name="value"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    denoising_id: Mapped[int] = reference("denoising", index=False)
    metric_id: Mapped[int] = reference("metric")
    value: Mapped[float | None]
    value_kind: Mapped[str]
