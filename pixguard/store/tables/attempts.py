"""Attacks, their attempts, and the pixels or whole images that they changed."""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Attack(Base):
    """An attack with all its parameters; ``pixels`` is 0 for a dense one, which may change all."""

    __tablename__ = "attack"
    __table_args__ = strict(UniqueConstraint("name", "version", "pixels", "parameters_hash"))
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    pixels: Mapped[int]
    parameters: Mapped[str]
    parameters_hash: Mapped[str]


PLAN = (
    "model_id", "attack_id", "seed", "target", "through_model_id", "repeat", "success", "image_id",
)  # fmt: skip


class Attempt(Base):
    """One finished attempt; see :class:`pixguard.records.AttemptRecord` for the measures.

    ``target`` is a class ordinal (NULL: non-targeted), ``through_model_id`` the denoiser that the
    classifier stood behind, or the detector that a success had not to alarm (NULL: none).
    """

    __tablename__ = "attempt"
    # What most reports count, in this order: they read the index alone.
    __table_args__ = strict(
        CheckConstraint("success IN (0, 1)", name="success"),
        Index("ix_attempt_plan", *PLAN),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_key: Mapped[str] = mapped_column(unique=True)
    attack_id: Mapped[int] = reference("attack")
    model_id: Mapped[int] = reference("model")
    image_id: Mapped[int] = reference("image")
    run_id: Mapped[int] = reference("run")
    through_model_id: Mapped[int | None] = reference("model")
    target: Mapped[int | None]
    repeat: Mapped[int]
    seed: Mapped[int]
    success: Mapped[int]
    predicted_before: Mapped[str]
    predicted_after: Mapped[str]
    confidence_before: Mapped[float]
    confidence_after: Mapped[float]
    true_confidence_after: Mapped[float]
    queries: Mapped[int]
    distinct_queries: Mapped[int | None]
    generations: Mapped[int]
    elapsed_ms: Mapped[float]
    evaluator: Mapped[str]
    precision: Mapped[str]


class Pixel(Base):
    """A changed pixel, (row, col) from the top left; colours are JSON lists of uint8."""

    __tablename__ = "pixel"
    __table_args__ = strict(UniqueConstraint("attempt_id", "ordinal"))
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = reference("attempt", index=False)
    ordinal: Mapped[int]
    row: Mapped[int]
    col: Mapped[int]
    before: Mapped[str]
    after: Mapped[str]


class WholeImage(Base):
    """The image of an attempt of a dense attack, instead of its pixels.

    ``png`` holds the pixels exactly, ``sha256`` is their digest as in ``image``. ``linf`` is the
    largest change of a value in steps of 8 bits, ``l2`` the Euclidean length of all changes, of
    values in [0, 1].
    """

    __tablename__ = "whole_image"
    __table_args__ = strict(UniqueConstraint("attempt_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    attempt_id: Mapped[int] = reference("attempt", index=False)
    sha256: Mapped[str]
    png: Mapped[bytes]
    linf: Mapped[int]
    l2: Mapped[float]
