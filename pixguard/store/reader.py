"""Reads datasets, models, images and plans' progress back as records."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, case, func, select

from pixguard.errors import UsageError
from pixguard.records import (
    CERTIFIED,
    DatasetInfo,
    ModelKind,
    ModelRecord,
    PredictionRecord,
    decode_label_set,
)
from pixguard.registry import near
from pixguard.store import registry
from pixguard.store.rows import dataset_info, model_record
from pixguard.store.tables import Attempt, Dataset, DatasetClass, Image, Model, Prediction
from pixguard.store.tagging import SUPERSEDED, words_of

LATEST = "latest"
_LIST = "pixguard models list"


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A dataset and its id."""

    id: int
    info: DatasetInfo


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model, its id, and the dataset that it was trained on."""

    id: int
    record: ModelRecord
    dataset_id: int
    dataset_name: str
    created_ms: int
    tags: frozenset[str] = frozenset()

    def is_called(self, selector: str) -> bool:
        """Whether it is one of those that a selector may mean.

        A superseded one is meant by its id and its own name alone.
        """
        if selector in (str(self.id), self.record.name):
            return True
        return SUPERSEDED not in self.tags and selector in (LATEST, self.record.architecture)


@dataclass(frozen=True, slots=True)
class CleanScore:
    """How a classifier did on test images of the dataset that it was trained on."""

    images: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Share of the judged images, 0 to 1."""
        return self.correct / self.images


def datasets(
    engine: Engine, name: str | None = None, source: str | None = None, size: int | None = None
) -> list[StoredDataset]:
    """Return the datasets that match, oldest first; None matches every value."""
    wanted = {Dataset.name: name, Dataset.source: source, Dataset.size: size}
    query = select(Dataset.__table__).order_by(Dataset.id)
    query = query.where(*(column == value for column, value in wanted.items() if value is not None))
    with engine.connect() as connection:
        rows = connection.execute(query).all()
        classes: dict[int, list[Row[Any]]] = defaultdict(list)
        for one in connection.execute(
            select(DatasetClass.__table__)
            .where(DatasetClass.dataset_id.in_([row.id for row in rows]))
            .order_by(DatasetClass.ordinal)
        ):
            classes[one.dataset_id].append(one)
    return [StoredDataset(row.id, dataset_info(row, classes[row.id])) for row in rows]


def check_dataset(engine: Engine, info: DatasetInfo) -> None:
    """Raise where a dataset could not be registered.

    Raises:
        DataError: it is registered with other content.
    """
    with engine.connect() as connection:
        registry.check_dataset(connection, info)


def models(
    engine: Engine,
    kind: ModelKind | None = None,
    dataset_id: int | None = None,
    dataset_name: str | None = None,
    architecture: str | None = None,
) -> list[StoredModel]:
    """Return the models that match, oldest first; None matches every value."""
    wanted = {
        Model.kind: kind,
        Model.dataset_id: dataset_id,
        Dataset.name: dataset_name,
        Model.architecture: architecture,
    }
    query = (
        select(Model.__table__, Dataset.name.label("dataset_name"))
        .join(Dataset, Dataset.id == Model.dataset_id)
        .where(*(column == value for column, value in wanted.items() if value is not None))
        # Not by id alone: an old model that was merged lately has a high one.
        .order_by(Model.created_ms, Model.id)
    )
    tags = words_of(engine, "model")
    with engine.connect() as connection:
        return [
            StoredModel(
                row.id,
                model_record(row),
                row.dataset_id,
                row.dataset_name,
                row.created_ms,
                tags.get(row.id, frozenset()),
            )
            for row in connection.execute(query)
        ]


def model(engine: Engine, model_id: int) -> StoredModel:
    """Return the model of an id, which exists."""
    return next(one for one in models(engine) if one.id == model_id)


def dataset(engine: Engine, dataset_id: int) -> StoredDataset:
    """Return the dataset of an id, which exists."""
    return next(one for one in datasets(engine) if one.id == dataset_id)


def refuse_selector(name: str) -> None:
    """Refuse a name for a model that would select another one.

    Raises:
        UsageError: it is an id, ``latest``, a certified classifier, or nothing.
    """
    if name.isdigit() or name in ("", LATEST, *CERTIFIED):
        raise UsageError(
            f"{name!r} cannot be the name of a model: it selects one already", "`name=NAME`"
        )


def meant(models: Sequence[StoredModel], selector: str) -> StoredModel:
    """Return the one of several models, oldest first, that a selector which fits them means.

    ``latest`` is the newest that pixguard trained; never a certified or an added classifier
    where there is a choice.

    Raises:
        UsageError: there is a choice between such models alone.
    """
    plain = [model for model in models if model.record.is_plain]
    if selector != LATEST or len(models) == 1:
        return models[-1]
    if not plain:
        names = ", ".join(f"{m.id} ({m.record.architecture})" for m in models)
        raise UsageError(
            f"{LATEST} means the newest model that was trained here, and there are only {names}",
            f"`model={models[-1].id}`",
        )
    return plain[-1]


def find_model(
    engine: Engine,
    selector: str,
    kind: ModelKind | None = None,
    dataset_id: int | None = None,
    dataset_name: str | None = None,
) -> StoredModel:
    """Return the model that a user means: an id, the newest of a name, or ``latest``.

    A name is an architecture, or the user's for a classifier of their own.

    Raises:
        UsageError: there is none, or an architecture was trained on several of the datasets.
    """
    found = models(engine, kind, dataset_id, dataset_name)
    noun = kind or "model"
    place = f" of dataset {dataset_name}" if dataset_name else ""
    if not found:
        command = {"denoiser": "denoise train", "detector": "detect train"}.get(noun, "train")
        dataset = dataset_name or "..."
        raise UsageError(
            f"no {noun}{place} is stored in this database",
            f"pixguard {command} --dataset {dataset}",
        )
    matching = [model for model in found if model.is_called(selector)]
    if not matching:
        names = ", ".join(f"{m.id} ({m.record.architecture})" for m in found)
        guess = near(selector, [m.record.architecture for m in found])
        raise UsageError(
            f"no {noun}{place} is called {selector!r}; there are {names}",
            f"did you mean {guess[0]}?" if guess else _LIST,
        )
    if selector != LATEST and len({model.dataset_id for model in matching}) > 1:
        names = ", ".join(f"{m.id} ({m.dataset_name})" for m in matching)
        raise UsageError(
            f"{selector} was trained on several datasets; name one by id: {names}", _LIST
        )
    return meant(matching, selector)


def image_ids(engine: Engine, dataset_id: int) -> dict[int, int]:
    """Return dataset index -> image id for the registered images of a dataset."""
    query = select(Image.dataset_index, Image.id).where(Image.dataset_id == dataset_id)
    with engine.connect() as connection:
        return {index: image_id for index, image_id in connection.execute(query)}


def predictions(engine: Engine, model_id: int, dataset_id: int) -> dict[int, PredictionRecord]:
    """Return dataset index -> clean prediction of a model on the images of a dataset.

    A model may have judged the same images at two sizes: at its own, and at their native one.
    """
    query = (
        select(Image.dataset_index, Prediction.predicted, Prediction.confidence)
        .join(Image, Image.id == Prediction.image_id)
        .where(Prediction.model_id == model_id, Image.dataset_id == dataset_id)
        .order_by(Image.dataset_index)
    )
    with engine.connect() as connection:
        return {
            index: PredictionRecord(index, decode_label_set(predicted), confidence)
            for index, predicted, confidence in connection.execute(query)
        }


def test_scores(engine: Engine) -> dict[int, CleanScore]:
    """Return classifier id -> its score, of those that have judged test images.

    An image counts as correct when the predicted label set is its own, exactly.
    """
    query = (
        select(
            Prediction.model_id,
            func.count(),
            func.sum(case((Prediction.predicted == Image.label_set, 1), else_=0)),
        )
        .join(Image, Image.id == Prediction.image_id)
        .join(Model, Model.id == Prediction.model_id)
        .where(Image.split == "test", Image.dataset_id == Model.dataset_id)
        .group_by(Prediction.model_id)
    )
    with engine.connect() as connection:
        return {
            model_id: CleanScore(images, int(correct))
            for model_id, images, correct in connection.execute(query)
        }


def attempt_outcomes(engine: Engine, model_id: int, dataset_id: int) -> dict[str, bool]:
    """Return the finished attempts on a model and a dataset's images: key -> it succeeded."""
    query = (
        select(Attempt.attempt_key, Attempt.success)
        .join(Image, Image.id == Attempt.image_id)
        .where(Attempt.model_id == model_id, Image.dataset_id == dataset_id)
    )
    with engine.connect() as connection:
        return {key: bool(success) for key, success in connection.execute(query)}


def attempt_seeds(engine: Engine, model_id: int) -> set[int]:
    """Return the seeds that attempts on a model were made with."""
    query = select(Attempt.seed).where(Attempt.model_id == model_id).distinct()
    with engine.connect() as connection:
        return set(connection.scalars(query))
