"""What was planned, and in which order."""

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Plan(Base):
    """What an attack set out to do: one attack, classifier, seed, target and defence.

    The same attack on more images extends its plan, whose order stays. ``planned`` counts its
    attempts; NULL: made before plans were recorded, and interrupted. ``run_id`` is the run that
    went on with it last. ``finished_ms`` is NULL while something is to do. ``target`` is the
    setting: a class, ``each``, or NULL. ``command`` goes on with it; ``remarks`` is a JSON list of
    what was noticed about the classifier.
    """

    __tablename__ = "plan"
    __table_args__ = strict(Index("ix_plan_group", "model_id", "attack_id", "seed"))
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = reference("model", index=False)
    attack_id: Mapped[int] = reference("attack")
    dataset_id: Mapped[int] = reference("dataset")
    through_model_id: Mapped[int | None] = reference("model")
    run_id: Mapped[int] = reference("run")
    seed: Mapped[int]
    target: Mapped[str | None]
    planned: Mapped[int | None]
    settings: Mapped[str]
    command: Mapped[str]
    remarks: Mapped[str]
    created_ms: Mapped[int]
    finished_ms: Mapped[int | None]


class PlannedAttempt(Base):
    """An attempt's place in the order of its plan, which counts from 0 in each repeat."""

    __tablename__ = "planned_attempt"
    __table_args__ = strict(UniqueConstraint("plan_id", "repeat", "place"))
    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = reference("plan", index=False)
    repeat: Mapped[int]
    place: Mapped[int]
    dataset_index: Mapped[int]
    attempt_key: Mapped[str]
