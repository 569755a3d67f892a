"""Things that are stored once and then referred to: found by what identifies them, or inserted.

Every function runs inside the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pixguard.errors import DataError, PixguardError
from pixguard.records import (
    AttackRecord,
    DatasetContent,
    DatasetInfo,
    EpochRecord,
    ImageRecord,
    ModelRecord,
    PredictionRecord,
    digest,
)
from pixguard.store import deleting, tables
from pixguard.store.rows import (
    Values,
    class_values,
    content_values,
    count_values,
    dataset_key,
    dataset_values,
    epoch_values,
    image_values,
    model_values,
    prediction_values,
    to_json,
)
from pixguard.store.tables import (
    Attack,
    Base,
    Dataset,
    DatasetClass,
    DatasetCount,
    Environment,
    Image,
    Metric,
    Model,
    Prediction,
    TrainingEpoch,
)


def insert_new(connection: Connection, table: type[Base]) -> Insert:
    """Return an INSERT that leaves rows alone whose unique key is there already."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return make(table).on_conflict_do_nothing()


def _find_or_insert(
    connection: Connection, table: type[Base], key: Values, values: Values
) -> tuple[int, bool]:
    """Return the id of the row with this key, and whether it was inserted just now."""
    columns = table.__table__.c
    query = select(columns.id).where(*(columns[name] == value for name, value in key.items()))
    found = connection.scalar(query)
    if found is not None:
        return int(found), False
    connection.execute(insert_new(connection, table), {**key, **values})
    return int(connection.execute(query).scalar_one()), True


def environment_id(connection: Connection, environment: Mapping[str, Any]) -> int:
    """Register an environment: the columns of its table, ``packages`` as a mapping or text."""
    values = dict(environment)
    if not isinstance(values["packages"], str):
        values["packages"] = to_json(values["packages"])
    key = {"fingerprint": values.pop("fingerprint", None) or digest(values)}
    return _find_or_insert(connection, Environment, key, values)[0]


def check_dataset(connection: Connection, info: DatasetInfo) -> None:
    """Raise where a dataset is registered with other content.

    Raises:
        DataError: it is.
    """
    key = dataset_key(info)
    columns = Dataset.__table__.c
    query = select(columns.manifest_sha256).where(
        *(columns[n] == value for n, value in key.items())
    )
    if connection.scalar(query) not in (None, info.manifest_sha256):
        raise DataError(
            f"dataset {info.name} ({info.source}, size {info.size}, version {info.version}) has "
            "changed since it was registered: its manifest is another",
            "give the changed images another name, or use a fresh database (`database=...`)",
        )


def dataset_id(connection: Connection, info: DatasetInfo) -> int:
    """Register a dataset with its classes. A new place of the same content is noted.

    Raises:
        DataError: it is registered with other content.
    """
    found, is_new = _find_or_insert(connection, Dataset, dataset_key(info), dataset_values(info))
    if is_new:
        rows = [class_values(one, found) for one in info.classes]
        connection.execute(insert(DatasetClass), rows)
        return found
    stored = connection.execute(select(Dataset.location).where(Dataset.id == found)).one()
    check_dataset(connection, info)
    if stored.location != info.location:
        connection.execute(
            update(Dataset).where(Dataset.id == found).values(location=info.location)
        )
    return found


def store_content(connection: Connection, dataset: int, content: DatasetContent) -> None:
    """Store what a dataset holds, unless it is there: a registered dataset does not change."""
    row = content_values(content, dataset)
    known = select(tables.DatasetContent.id).where(tables.DatasetContent.dataset_id == dataset)
    if connection.scalar(known) is not None:
        return
    connection.execute(insert_new(connection, tables.DatasetContent), row)
    connection.execute(insert_new(connection, DatasetCount), count_values(content, dataset))


def image_ids(
    connection: Connection, dataset: int, records: Sequence[ImageRecord]
) -> dict[int, int]:
    """Register images; return dataset index -> image id for the records given.

    Raises:
        DataError: an image has changed since it was registered.
    """
    query = select(Image.dataset_index, Image.id, Image.sha256).where(Image.dataset_id == dataset)
    stored = {row.dataset_index: row for row in connection.execute(query)}
    for record in records:
        known = stored.get(record.index)
        if known is not None and known.sha256 != record.sha256:
            raise DataError(
                f"image {record.index} ({record.split}) changed since it was registered: its "
                f"SHA-256 was {known.sha256[:12]}, now it is {record.sha256[:12]}",
                "restore the image, or use a fresh database (`database=...`)",
            )
    new = [image_values(record, dataset) for record in records if record.index not in stored]
    if new:
        connection.execute(insert_new(connection, Image), new)
        stored = {row.dataset_index: row for row in connection.execute(query)}
    return {int(record.index): stored[record.index].id for record in records}


def model_id(
    connection: Connection,
    record: ModelRecord,
    dataset: int,
    run_id: int,
    epochs: Sequence[EpochRecord],
) -> int:
    """Register a model with its training curve; the SHA-256 of its weights identifies it.

    Raises:
        DataError: the same weights are registered for another dataset.
    """
    values = model_values(record, dataset, run_id)
    key = {"weights_sha256": values.pop("weights_sha256")}
    found, is_new = _find_or_insert(connection, Model, key, values)
    if is_new:
        if epochs:
            rows = [epoch_values(epoch, found) for epoch in epochs]
            connection.execute(insert(TrainingEpoch), rows)
        return found
    if connection.scalar(select(Model.dataset_id).where(Model.id == found)) != dataset:
        raise DataError(
            f"these weights ({record.weights_file}) are registered as model {found}, which "
            "belongs to another dataset",
            f"pixguard models show {found}",
        )
    return found


def remove_model(connection: Connection, model: int) -> dict[str, int]:
    """Remove a model with its training curve and clean predictions, unless it has results.

    Returns:
        How many rows of which tables are results of it; empty where it was removed.
    """
    found = deleting.doomed("model", model)
    own = {t.__tablename__ for t in (Model, TrainingEpoch, Prediction)}
    results = {t: n for t, n in deleting.counts(connection, found).items() if t not in own}
    if not results:
        deleting.delete_rows(connection, found)
    return results


def name_model(connection: Connection, model: int, name: str) -> None:
    """Give a trained model a name, and take it from other trained ones.

    An added model keeps its own: its architecture has the same name.
    """
    others = (Model.name == name, Model.id != model, Model.architecture != name)
    connection.execute(update(Model).where(*others).values(name=None))
    connection.execute(update(Model).where(Model.id == model).values(name=name))


def store_predictions(
    connection: Connection, model: int, dataset: int, records: Sequence[PredictionRecord]
) -> None:
    """Store clean predictions; those that are there already stay as they are.

    Raises:
        DataError: an image is not registered.
    """
    query = select(Image.dataset_index, Image.id).where(Image.dataset_id == dataset)
    ids = {row.dataset_index: row.id for row in connection.execute(query)}
    missing = [record.image_index for record in records if record.image_index not in ids]
    if missing:
        raise DataError(f"image {missing[0]} is predicted but not registered in dataset {dataset}")
    rows = [prediction_values(record, model, ids[record.image_index]) for record in records]
    if rows:
        connection.execute(insert_new(connection, Prediction), rows)


def attack_id(connection: Connection, record: AttackRecord) -> int:
    """Register an attack; equal parameters are one attack."""
    key = {
        "name": record.name,
        "version": record.version,
        "pixels": record.pixels,
        "parameters_hash": record.parameters_hash,
    }
    values = {"parameters": to_json(record.parameters)}
    return _find_or_insert(connection, Attack, key, values)[0]


def metric_id(
    connection: Connection, name: str, version: int, parameters: Mapping[str, Any]
) -> int:
    """Register a metric.

    Raises:
        PixguardError: this version is registered with other parameters.
    """
    key = {"name": name, "version": version}
    values = {"parameters": to_json(parameters)}
    found, is_new = _find_or_insert(connection, Metric, key, values)
    stored = connection.scalar(select(Metric.parameters).where(Metric.id == found))
    if not is_new and stored != values["parameters"]:
        raise PixguardError(
            f"metric {name} version {version} is stored with the parameters {stored}, and is now "
            f"taken with {values['parameters']}",
            "a changed metric needs a new version number",
        )
    return found
