"""Reads attempts and restorations back, with the pixels that rebuild every adversarial image."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, column, func, select, table

from pixguard.records import LabelSet, PixelRecord, WholeImageRecord, decode_label_set
from pixguard.shards import Shard
from pixguard.store.rows import pixel_record, whole_record
from pixguard.store.tables import Attack, Attempt, Image, Pixel, Restoration, Score, WholeImage

OUT_OF_ORDER = select(table("attempts_out_of_order", column("attempt_id")).c.attempt_id)
"""The ids of attempts that stand behind a gap of their plan."""


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """A finished attempt. ``label_code`` is the true label set's code, of the clean image."""

    id: int
    attempt_key: str
    attack_id: int
    model_id: int
    image_id: int
    image_index: int
    label_code: str
    target: int | None
    repeat: int
    seed: int
    predicted_before: LabelSet
    predicted_after: LabelSet
    confidence_before: float
    confidence_after: float
    pixels: tuple[PixelRecord, ...]
    whole: WholeImageRecord | None = None

    @property
    def attempt_id(self) -> int:
        """The id, by the name that all sources of restorations have for it."""
        return self.id


@dataclass(frozen=True, slots=True)
class AttackedImage:
    """A clean image that was attacked, with or without success."""

    image_id: int
    image_index: int
    label_code: str
    attempt_id: None = None
    pixels: tuple[()] = ()
    whole: None = None


@dataclass(frozen=True, slots=True)
class StoredRestoration:
    """A denoiser's output that can be recomputed.

    ``pixels`` or ``whole`` are those of the attempt whose image was restored; neither for a clean
    image.
    """

    id: int
    attempt_id: int | None
    image_id: int
    image_index: int
    dataset_id: int
    classifier_id: int
    denoiser_id: int
    pixels: tuple[PixelRecord, ...]
    whole: WholeImageRecord | None = None


def successes(
    engine: Engine,
    model_id: int,
    pixels: int | None = None,
    attack_name: str | None = None,
    dataset_id: int | None = None,
    shard: Shard | None = None,
) -> list[StoredAttempt]:
    """Return the successful attempts on an undefended classifier, in the order of their ids.

    Of an incomplete plan, those of its finished beginning: what becomes of them is a sample too.

    Args:
        engine: an open database.
        model_id: the classifier.
        pixels: number of pixels of the attack; None for any.
        attack_name: name of the attack; None for any.
        dataset_id: only images of this dataset; None for any.
        shard: those of this part, whatever is missing of the others; None: of all.
    """
    conditions = [
        Attempt.model_id == model_id,
        Attempt.success == 1,
        Attempt.through_model_id.is_(None),
    ]
    if shard is None:
        conditions.append(Attempt.id.not_in(OUT_OF_ORDER))
    if pixels is not None:
        conditions.append(Attack.pixels == pixels)
    if attack_name is not None:
        conditions.append(Attack.name == attack_name)
    if dataset_id is not None:
        conditions.append(Image.dataset_id == dataset_id)
    query = (
        select(Attempt.__table__, Image.dataset_index, Image.label_set)
        .join(Attack, Attack.id == Attempt.attack_id)
        .join(Image, Image.id == Attempt.image_id)
        .where(*conditions)
        .order_by(Attempt.id)
    )
    wanted = (
        select(Attempt.id)
        .join(Attack, Attack.id == Attempt.attack_id)
        .join(Image, Image.id == Attempt.image_id)
        .where(*conditions)
    )
    with engine.connect() as connection:
        changed, wholes = _pixels(connection, wanted), _wholes(connection, wanted)
        return [
            StoredAttempt(
                id=row.id,
                attempt_key=row.attempt_key,
                attack_id=row.attack_id,
                model_id=row.model_id,
                image_id=row.image_id,
                image_index=row.dataset_index,
                label_code=row.label_set,
                target=row.target,
                repeat=row.repeat,
                seed=row.seed,
                predicted_before=decode_label_set(row.predicted_before),
                predicted_after=decode_label_set(row.predicted_after),
                confidence_before=row.confidence_before,
                confidence_after=row.confidence_after,
                pixels=tuple(changed[row.id]),
                whole=wholes.get(row.id),
            )
            for row in connection.execute(query)
            if shard is None or shard.holds(row.attempt_key)
        ]


def attacked_images(
    engine: Engine,
    model_id: int,
    pixels: int | None = None,
    dataset_id: int | None = None,
    shard: Shard | None = None,
) -> list[AttackedImage]:
    """Return the images of all attempts on an undefended classifier, each once, by their ids.

    Args:
        engine: an open database.
        model_id: the classifier.
        pixels: number of pixels of the attack; None for any.
        dataset_id: only images of this dataset; None for any.
        shard: the images of this part's attempts; None: of all.
    """
    conditions = [Attempt.model_id == model_id, Attempt.through_model_id.is_(None)]
    if shard is None:
        conditions.append(Attempt.id.not_in(OUT_OF_ORDER))
    if pixels is not None:
        conditions.append(Attack.pixels == pixels)
    if dataset_id is not None:
        conditions.append(Image.dataset_id == dataset_id)
    query = (
        select(Attempt.attempt_key, Image.id, Image.dataset_index, Image.label_set)
        .join(Attack, Attack.id == Attempt.attack_id)
        .join(Image, Image.id == Attempt.image_id)
        .where(*conditions)
        .order_by(Image.id)
    )
    with engine.connect() as connection:
        found = {
            AttackedImage(image, index, label): None
            for key, image, index, label in connection.execute(query)
            if shard is None or shard.holds(key)
        }
    return list(found)


def restoration_keys(
    engine: Engine, classifier_id: int, denoiser_id: int, dataset_id: int | None = None
) -> set[tuple[int | None, int]]:
    """Return what a denoiser has restored for a classifier, as (attempt id, image id).

    The attempt id is None where the clean image was restored; ``dataset_id`` None: of any dataset.
    """
    query = select(Restoration.attempt_id, Restoration.image_id).where(
        Restoration.classifier_id == classifier_id, Restoration.denoiser_id == denoiser_id
    )
    if dataset_id is not None:
        query = query.join(Image, Image.id == Restoration.image_id)
        query = query.where(Image.dataset_id == dataset_id)
    with engine.connect() as connection:
        return {(attempt_id, image_id) for attempt_id, image_id in connection.execute(query)}


def restorations_without_scores(
    engine: Engine,
    metric_ids: Sequence[int],
    *,
    dataset_id: int | None = None,
    classifier_id: int | None = None,
    denoiser_id: int | None = None,
) -> list[StoredRestoration]:
    """Return the restorations that lack at least one of the metrics, in the order of their ids.

    Args:
        engine: an open database.
        metric_ids: the metrics wanted, each once.
        dataset_id: only images of this dataset; None for any.
        classifier_id: only this classifier; None for any.
        denoiser_id: only this denoiser; None for any.
    """
    scored = (
        select(func.count())
        .where(Score.restoration_id == Restoration.id, Score.metric_id.in_(metric_ids))
        .scalar_subquery()
    )
    wanted = {
        Image.dataset_id: dataset_id,
        Restoration.classifier_id: classifier_id,
        Restoration.denoiser_id: denoiser_id,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    query = (
        select(Restoration.__table__, Image.dataset_index, Image.dataset_id)
        .join(Image, Image.id == Restoration.image_id)
        .where(scored < len(metric_ids), *conditions)
        .order_by(Restoration.id)
    )
    attempts = (
        select(Restoration.attempt_id)
        .join(Image, Image.id == Restoration.image_id)
        .where(scored < len(metric_ids), *conditions)
    )
    with engine.connect() as connection:
        changed, wholes = _pixels(connection, attempts), _wholes(connection, attempts)
        return [
            StoredRestoration(
                id=row.id,
                attempt_id=row.attempt_id,
                image_id=row.image_id,
                image_index=row.dataset_index,
                dataset_id=row.dataset_id,
                classifier_id=row.classifier_id,
                denoiser_id=row.denoiser_id,
                pixels=tuple(changed[row.attempt_id]) if row.attempt_id is not None else (),
                whole=wholes.get(row.attempt_id),
            )
            for row in connection.execute(query)
        ]


def _pixels(connection: Connection, attempts: Select[Any]) -> dict[int, list[PixelRecord]]:
    """Return attempt id -> pixels in their order, for a query that selects attempt ids."""
    query = (
        select(Pixel.__table__)
        .where(Pixel.attempt_id.in_(attempts))
        .order_by(Pixel.attempt_id, Pixel.ordinal)
    )
    found: dict[int, list[PixelRecord]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.attempt_id].append(pixel_record(row))
    return found


def _wholes(connection: Connection, attempts: Select[Any]) -> dict[int, WholeImageRecord]:
    """Return attempt id -> its whole image, of dense attacks."""
    query = select(WholeImage.__table__).where(WholeImage.attempt_id.in_(attempts))
    return {row.attempt_id: whole_record(row) for row in connection.execute(query)}
