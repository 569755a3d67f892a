"""Reads attempts as a gallery shows them: pixels, decisions, and what denoisers made of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, select

from pixguard.records import PixelRecord, WholeImageRecord
from pixguard.store.rows import pixel_record, whole_record
from pixguard.store.tables import (
    Attack,
    Attempt,
    Dataset,
    Image,
    Model,
    Pixel,
    Restoration,
    WholeImage,
)

IDS_A_QUERY = 500
"""Bound values in one query: every SQLite takes that many."""


@dataclass(frozen=True, slots=True)
class GalleryRestoration:
    """What a denoiser made of an attempt's image, as it was judged and stored."""

    denoiser_id: int
    predicted: str
    confidence: float
    recovered: bool


@dataclass(frozen=True, slots=True)
class GalleryAttempt:
    """One attempt. Labels are label sets' codes; ``through`` names the defence attacked.

    ``pixels`` are those of the success, or of the best candidate where there was none; of a dense
    attack that is ``whole``.
    """

    id: int
    attack: str
    attack_pixels: int
    through: str | None
    dataset_id: int
    classifier_id: int
    image_id: int
    image_index: int
    image_sha256: str
    split: str
    height: int
    width: int
    truth: str
    target: int | None
    repeat: int
    seed: int
    success: bool
    predicted_before: str
    predicted_after: str
    confidence_before: float
    confidence_after: float
    true_confidence_after: float
    queries: int
    pixels: tuple[PixelRecord, ...]
    restorations: tuple[GalleryRestoration, ...]
    whole: WholeImageRecord | None = None


def count_attempts(engine: Engine, dataset: str | None = None) -> int:
    """Return how many attempts there are; ``dataset`` None: on any dataset."""
    query = select(func.count()).select_from(Attempt)
    if dataset is not None:
        query = _of_dataset(query, dataset)
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def sample_attempts(engine: Engine, limit: int, dataset: str | None = None) -> list[GalleryAttempt]:
    """Return up to ``limit`` attempts, in the order of their ids.

    Where there are more, those with the smallest keys are taken. A key is a hash of what was
    attempted, so the choice favours nothing, and equal attempts make equal choices on every
    machine, in whatever order they were made.
    """
    keys = select(Attempt.id).order_by(Attempt.attempt_key).limit(limit)
    if dataset is not None:
        keys = _of_dataset(keys, dataset)
    with engine.connect() as connection:
        ids = sorted(connection.scalars(keys))
        names = _names(connection)
        return [
            attempt
            for start in range(0, len(ids), IDS_A_QUERY)
            for attempt in _read(connection, ids[start : start + IDS_A_QUERY], names)
        ]


def count_attempts_on(engine: Engine, dataset_id: int, last_id: int) -> int:
    """Return how many attempts up to an id there are on a dataset's images."""
    query = _on(select(func.count()).select_from(Attempt), dataset_id, last_id)
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def attempts_on(engine: Engine, dataset_id: int, last_id: int) -> Iterator[list[GalleryAttempt]]:
    """Yield the attempts up to an id on a dataset's images, some hundred at a time, in order."""
    ids = _on(select(Attempt.id), dataset_id, last_id)
    after = 0
    with engine.connect() as connection:
        names = _names(connection)
    while True:
        with engine.connect() as connection:  # between two, whoever writes can empty its log
            query = ids.where(Attempt.id > after).order_by(Attempt.id).limit(IDS_A_QUERY)
            window = list(connection.scalars(query))
            found = list(_read(connection, window, names))
        if not window:
            return
        after = window[-1]
        yield found


def _names(connection: Connection) -> dict[int, str]:
    """Return what each model is called as a defence."""
    query = select(Model.id, Model.kind, Model.architecture)
    return {
        id_: f"detector {name}" if kind == "detector" else name
        for id_, kind, name in connection.execute(query)
    }


def _on(query: Select[Any], dataset_id: int, last_id: int) -> Select[Any]:
    query = query.join(Image, Image.id == Attempt.image_id)
    return query.where(Image.dataset_id == dataset_id, Attempt.id <= last_id)


def _of_dataset(query: Select[Any], dataset: str) -> Select[Any]:
    wanted = select(Model.id).join(Dataset, Dataset.id == Model.dataset_id)
    return query.where(Attempt.model_id.in_(wanted.where(Dataset.name == dataset)))


def _read(
    connection: Connection, ids: Sequence[int], names: dict[int, str]
) -> Iterator[GalleryAttempt]:
    query = (
        select(
            Attempt.__table__,
            Attack.name.label("attack"),
            Attack.pixels.label("attack_pixels"),
            Image.dataset_id,
            Image.dataset_index,
            Image.sha256,
            Image.split,
            Image.height,
            Image.width,
            Image.label_set,
        )
        .join(Attack, Attack.id == Attempt.attack_id)
        .join(Image, Image.id == Attempt.image_id)
        .where(Attempt.id.in_(ids))
        .order_by(Attempt.id)
    )
    pixels: dict[int, list[PixelRecord]] = defaultdict(list)
    changed = select(Pixel.__table__).where(Pixel.attempt_id.in_(ids))
    for row in connection.execute(changed.order_by(Pixel.attempt_id, Pixel.ordinal)):
        pixels[row.attempt_id].append(pixel_record(row))
    wholes = {
        row.attempt_id: whole_record(row)
        for row in connection.execute(
            select(WholeImage.__table__).where(WholeImage.attempt_id.in_(ids))
        )
    }
    restorations: dict[int, list[GalleryRestoration]] = defaultdict(list)
    restored = select(Restoration.__table__).where(Restoration.attempt_id.in_(ids))
    for row in connection.execute(restored.order_by(Restoration.denoiser_id)):
        restorations[row.attempt_id].append(
            GalleryRestoration(row.denoiser_id, row.predicted, row.confidence, bool(row.recovered))
        )
    for row in connection.execute(query):
        through = names.get(row.through_model_id)
        own = tuple(pixels[row.id]), wholes.get(row.id)
        yield _attempt(row, through, *own, tuple(restorations[row.id]))


def _attempt(
    row: Row[Any],
    through: str | None,
    pixels: tuple[PixelRecord, ...],
    whole: WholeImageRecord | None,
    restorations: tuple[GalleryRestoration, ...],
) -> GalleryAttempt:
    return GalleryAttempt(
        id=row.id,
        attack=row.attack,
        attack_pixels=row.attack_pixels,
        through=through,
        dataset_id=row.dataset_id,
        classifier_id=row.model_id,
        image_id=row.image_id,
        image_index=row.dataset_index,
        image_sha256=row.sha256,
        split=row.split,
        height=row.height,
        width=row.width,
        truth=row.label_set,
        target=row.target,
        repeat=row.repeat,
        seed=row.seed,
        success=bool(row.success),
        predicted_before=row.predicted_before,
        predicted_after=row.predicted_after,
        confidence_before=row.confidence_before,
        confidence_after=row.confidence_after,
        true_confidence_after=row.true_confidence_after,
        queries=row.queries,
        pixels=pixels,
        restorations=restorations,
        whole=whole,
    )
