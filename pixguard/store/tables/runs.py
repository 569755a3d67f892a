"""Where and how results were made."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Environment(Base):
    """Where a run happened: versions, hardware, git state."""

    __tablename__ = "environment"
    __table_args__ = strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    pixguard_version: Mapped[str]
    git_sha: Mapped[str | None]
    git_dirty: Mapped[int | None]
    python_version: Mapped[str]
    torch_version: Mapped[str]
    cuda_version: Mapped[str | None]
    cpu: Mapped[str]
    cpu_threads: Mapped[int]
    memory_mib: Mapped[int]
    gpu: Mapped[str | None]
    driver: Mapped[str | None]
    packages: Mapped[str]


class Run(Base):
    """One command that wrote results. ``heartbeat_ms`` is for display only."""

    __tablename__ = "run"
    __table_args__ = strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True)
    command: Mapped[str]
    config: Mapped[str]
    config_hash: Mapped[str]
    seed: Mapped[int]
    environment_id: Mapped[int] = reference("environment")
    host: Mapped[str]
    pid: Mapped[int]
    status: Mapped[str]
    started_ms: Mapped[int]
    heartbeat_ms: Mapped[int]
    finished_ms: Mapped[int | None]
    error: Mapped[str | None]


class Failure(Base):
    """An attempt that raised; append-only, the attempt itself stays to be done."""

    __tablename__ = "failure"
    __table_args__ = strict()
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = reference("run")
    attempt_key: Mapped[str] = mapped_column(index=True)
    error_type: Mapped[str]
    message: Mapped[str]
    at_ms: Mapped[int]


class Tag(Base):
    """A word that a user gave a run or a model, and a note on it.

    ``kind`` is run or model; ``key`` is the run's ``uuid`` or the model's ``weights_sha256``, which
    are the same in every database. The word ``superseded`` takes a model out of what ``latest`` and
    the name of an architecture mean; its results stay.
    """

    __tablename__ = "tag"
    __table_args__ = strict(UniqueConstraint("kind", "key", "word"))
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    key: Mapped[str]
    word: Mapped[str]
    note: Mapped[str]
    at_ms: Mapped[int]
