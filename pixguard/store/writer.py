"""The one writer: it holds the lock, records the run, and commits results as they come."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

from sqlalchemy import Engine

from pixguard.errors import PixguardError
from pixguard.records import (
    AnyCertificate,
    AttackRecord,
    AttemptRecord,
    DatasetContent,
    DatasetInfo,
    DenoisingRecord,
    DetectionRecord,
    EpochRecord,
    FailureRecord,
    ImageRecord,
    ModelRecord,
    PlanRecord,
    PredictionRecord,
    RestorationRecord,
    ScoreRecord,
)
from pixguard.store import plans, registry, runs
from pixguard.store.buffer import Buffer
from pixguard.store.engine import check_place, open_engine, refuse_damaged
from pixguard.store.location import locate
from pixguard.store.lock import WriterLock
from pixguard.store.postgresql import hold_run
from pixguard.store.presence import Presence
from pixguard.store.rows import now_ms, score_values, to_json

COMMIT_EVERY_ROWS = 64
COMMIT_EVERY_S = 2.0
HEARTBEAT_EVERY_S = 10.0
LARGE_LOG_BYTES = 64 << 20
"""Beyond that, someone reads without an end, and the write-ahead log cannot be emptied."""


class Writer:
    """Writes the results of one run; a context manager, made anew for each run.

    Attempts, failures, restorations, scores, denoisings, detections and certificates are buffered
    and committed every 64 rows or 2 seconds, judged when a row arrives: call :meth:`flush` before
    a long pause. Everything else is committed at once. Leaving the context commits what waits and
    gives the run its status: finished, interrupted (KeyboardInterrupt or InterruptedRunError) or
    failed, with the error.

    Attributes:
        engine: the open database, for reading in between.
        run_id: id of the run's row.
        run_uuid: identity of the run in every database.

    Args:
        database: path of an SQLite file, made if missing, or an SQLAlchemy URL.
        command: the command line.
        config: the resolved settings; dataclasses and paths are converted to JSON.
        seed: base seed of the run, below 2^63.
        environment: columns of the table ``environment`` by name; ``packages`` may be a mapping.
        say: told what a person should look after.
        presence: of the process; by default one of its own.

    Raises:
        DatabaseBusyError: another process writes to the database; the message says which.
        SchemaMismatchError: the database was made by an older or newer pixguard.
        PixguardError: the database is damaged, cannot be opened or written, or the disk is full;
            what was committed is safe.
    """

    engine: Engine
    run_id: int

    def __init__(
        self,
        database: str,
        *,
        command: str,
        config: Mapping[str, Any],
        seed: int,
        environment: Mapping[str, Any],
        say: Callable[[str], None] = lambda message: None,
        presence: Presence | None = None,
    ) -> None:
        self.run_uuid = str(uuid.uuid4())
        self._location = locate(database)
        self._database = database
        self._command = command
        self._config = to_json(config)
        self._seed = seed
        self._environment = environment
        self._say: Callable[[str], None] | None = say
        self._presence = presence or Presence(database, command)
        self._resources = ExitStack()

    def __enter__(self) -> "Writer":
        with ExitStack() as stack:
            if self._location.path is not None:
                check_place(self._location, create=True, writable=True)
                stack.enter_context(WriterLock(self._location.path, self._command))
            self.engine = open_engine(self._database, create=True)
            stack.callback(self.engine.dispose)
            refuse_damaged(self.engine, self._location)
            self.run_id = runs.begin(
                self.engine,
                run_uuid=self.run_uuid,
                command=self._command,
                config=self._config,
                seed=self._seed,
                environment=self._environment,
            )
            self._buffer = Buffer(self.run_id)
            self._flushed_s = self._heartbeat_s = time.monotonic()
            if self._location.path is None:
                stack.callback(hold_run(self.engine, self.run_id))
            stack.enter_context(self._presence.at_work(self._beat_if_silent))
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._resources:
            try:
                self._end_run(error)
            except PixguardError as ending:
                if error is None:
                    raise
                error.add_note(f"At its end, the run could not commit what was left: {ending}")

    def _end_run(self, error: BaseException | None) -> None:
        try:
            self.flush()
        except PixguardError as lost:
            with suppress(PixguardError):  # a full disk may refuse even this
                runs.end(self.engine, self.run_id, error or lost, is_lost=True)
            raise
        runs.end(self.engine, self.run_id, error)

    def dataset(self, info: DatasetInfo) -> int:
        """Return the id of a dataset, registered with its classes if it is new."""
        with self.engine.begin() as connection:
            return registry.dataset_id(connection, info)

    def content(self, dataset_id: int, content: DatasetContent) -> None:
        """Store what a registered dataset holds, unless that is there already."""
        with self.engine.begin() as connection:
            registry.store_content(connection, dataset_id, content)

    def images(self, dataset_id: int, records: Sequence[ImageRecord]) -> dict[int, int]:
        """Register images; return dataset index -> image id.

        Raises:
            DataError: an image has changed since it was registered; none is registered then.
        """
        with self.engine.begin() as connection:
            return registry.image_ids(connection, dataset_id, records)

    def model(
        self, record: ModelRecord, dataset_id: int, epochs: Sequence[EpochRecord] = ()
    ) -> int:
        """Return the id of a model, registered with its training curve if its weights are new."""
        with self.engine.begin() as connection:
            return registry.model_id(connection, record, dataset_id, self.run_id, epochs)

    def name_model(self, model_id: int, name: str) -> None:
        """Call a trained model so; another trained one that was called so no longer is."""
        with self.engine.begin() as connection:
            registry.name_model(connection, model_id, name)

    def remove_model(self, model_id: int) -> dict[str, int]:
        """Remove a model; return its results by table, for which it stays where there are any."""
        with self.engine.begin() as connection:
            return registry.remove_model(connection, model_id)

    def predictions(
        self, model_id: int, dataset_id: int, records: Sequence[PredictionRecord]
    ) -> None:
        """Store the decisions of a classifier on clean images, which must be registered."""
        with self.engine.begin() as connection:
            registry.store_predictions(connection, model_id, dataset_id, records)

    def attack(self, record: AttackRecord) -> int:
        """Return the id of an attack, registered if its parameters are new."""
        with self.engine.begin() as connection:
            return registry.attack_id(connection, record)

    def plan(
        self,
        record: PlanRecord,
        *,
        attack_id: int,
        model_id: int,
        dataset_id: int,
        through_model_id: int | None = None,
    ) -> int:
        """Return the id of a plan, stored with the place of each attempt, or extended."""
        with self.engine.begin() as connection:
            return plans.store_plan(
                connection,
                record,
                attack_id=attack_id,
                model_id=model_id,
                dataset_id=dataset_id,
                through_model_id=through_model_id,
                run_id=self.run_id,
            )

    def close_plan(self, plan_id: int) -> None:
        """Commit what waits, and mark a plan as finished where nothing of it is missing."""
        self.flush()
        with self.engine.begin() as connection:
            plans.close_plan(connection, plan_id)

    def metric(self, name: str, version: int, parameters: Mapping[str, Any]) -> int:
        """Return the id of a metric, registered if it is new."""
        with self.engine.begin() as connection:
            return registry.metric_id(connection, name, version, parameters)

    def attempt(
        self,
        record: AttemptRecord,
        *,
        attack_id: int,
        model_id: int,
        image_id: int,
        through_model_id: int | None = None,
    ) -> None:
        """Store a finished attempt with its pixels; one whose key is there already is left out."""
        self._buffer.add_attempt(
            record,
            attack_id=attack_id,
            model_id=model_id,
            image_id=image_id,
            through_model_id=through_model_id,
        )
        self.flush_if_due()

    def failure(self, record: FailureRecord) -> None:
        """Store that an attempt raised; it stays to be done."""
        self._buffer.failures.append(
            {
                "run_id": self.run_id,
                "attempt_key": record.attempt_key,
                "error_type": record.error_type,
                "message": record.message,
                "at_ms": now_ms(),
            }
        )
        self.flush_if_due()

    def restoration(
        self, record: RestorationRecord, *, image_id: int, classifier_id: int, denoiser_id: int
    ) -> None:
        """Store a denoiser's output as the classifier sees it, unless it is there already."""
        self._buffer.add_restoration(
            record, image_id=image_id, classifier_id=classifier_id, denoiser_id=denoiser_id
        )
        self.flush_if_due()

    def score(self, restoration_id: int, metric_id: int, record: ScoreRecord) -> None:
        """Store a metric's value, unless it is there already."""
        row = {"restoration_id": restoration_id, "metric_id": metric_id, **score_values(record)}
        self._buffer.scores.append(row)
        self.flush_if_due()

    def denoising(
        self,
        record: DenoisingRecord,
        metric_ids: Mapping[str, int],
        *,
        image_id: int,
        denoiser_id: int,
    ) -> None:
        """Store a restored noisy image with its scores; what is there already stays.

        ``metric_ids``: metric name -> id, for each of the record's scores.
        """
        self._buffer.add_denoising(record, metric_ids, image_id=image_id, denoiser_id=denoiser_id)
        self.flush_if_due()

    def certificate(self, record: AnyCertificate, *, model_id: int, image_id: int) -> None:
        """Store a certificate, unless the model has one of this method for the image."""
        self._buffer.add_certificate(record, model_id=model_id, image_id=image_id)
        self.flush_if_due()

    def detection(self, record: DetectionRecord, *, image_id: int, detector_id: int) -> None:
        """Store what a detector says of an image, unless it is there already."""
        self._buffer.add_detection(record, image_id=image_id, detector_id=detector_id)
        self.flush_if_due()

    def flush(self) -> None:
        """Commit what waits; on an error it waits on, so that nothing is lost.

        The run's heartbeat goes with it, at most every 10 seconds.
        """
        now_s = time.monotonic()
        beat = now_s - self._heartbeat_s >= HEARTBEAT_EVERY_S
        if not self._buffer and not beat:
            return
        with self.engine.begin() as connection:
            self._buffer.write(connection)
            if beat:
                runs.beat(connection, self.run_id)
        self._buffer.clear()
        self._flushed_s = now_s
        if beat:
            self._heartbeat_s = now_s
            self._look_at_log()

    def _beat_if_silent(self) -> None:
        """Beat, from another thread, where no commit has for long: an attempt may take minutes."""
        now_s = time.monotonic()
        if now_s - self._heartbeat_s >= 2 * HEARTBEAT_EVERY_S:
            with self.engine.begin() as connection:
                runs.beat(connection, self.run_id)
            self._heartbeat_s = now_s

    def _look_at_log(self) -> None:
        """Say once that the write-ahead log grows without an end."""
        path = self._location.path
        if self._say is None or path is None:
            return
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size > LARGE_LOG_BYTES:
            self._say(
                f"{log.name} has grown to {log.stat().st_size >> 20} MiB: another program keeps "
                "reading without an end (an SQL browser?); close it, and the file shrinks"
            )
            self._say = None

    def flush_if_due(self) -> None:
        """Commit what waits if it is 64 rows, or has waited for 2 seconds."""
        waited_s = time.monotonic() - self._flushed_s
        if len(self._buffer) >= COMMIT_EVERY_ROWS or waited_s >= COMMIT_EVERY_S:
            self.flush()
