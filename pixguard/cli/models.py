"""``pixguard models``: the registry of classifiers, denoisers and detectors."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixguard.cli.common import new_app, open_session, print_json, print_result
from pixguard.cli.display import TerminalDisplay
from pixguard.cli.groups import DeviceOptions, OutputOptions
from pixguard.cli.models_add import add
from pixguard.cli.options import command
from pixguard.cli.tables import local_time, print_rows
from pixguard.config.settings import Settings, required, setting
from pixguard.datasets.catalogue import is_named, registered_name, unknown_dataset
from pixguard.errors import UsageError
from pixguard.records import DatasetInfo, ModelKind

if TYPE_CHECKING:
    from pixguard.store.reader import CleanScore, StoredModel

app = new_app("The registry of trained classifiers, denoisers and detectors.")
app.command()(add)


@dataclass(frozen=True, slots=True)
class ListOptions(Settings):
    """Which models."""

    dataset: str | None = setting(None, "Only models of this dataset.", short="-d", names="dataset")
    kind: ModelKind | None = setting(None, "Only this kind.")


@dataclass(frozen=True, slots=True)
class ModelChoice(Settings):
    """One model."""

    model: str = required(
        "An id, a name or an architecture (its newest), or latest.", argument=True, names="model"
    )


@dataclass(frozen=True, slots=True)
class ShownModel(ModelChoice):
    """One model, and what to show of it."""

    layers: bool = setting(False, "Its layers instead: outputs and parameters.")


@dataclass(frozen=True, slots=True)
class ExportedModel(ModelChoice):
    """One model, and where it goes."""

    out: Path = required("File to write, such as model.safetensors.", short="-o")


@dataclass(frozen=True, slots=True)
class ThresholdChoice(ModelChoice):
    """One classifier, and what its thresholds are to maximise."""

    by: Literal["f1", "youden"] = setting(
        "f1", "What a threshold maximises for its label: the F1 score, or Youden's J."
    )
    data_dir: Path | None = setting(
        None, "Folder, zip or npz file that holds the images, where they were moved.", in_file=True
    )


@app.command("list")
@command
def list_models(wanted: ListOptions, output: OutputOptions) -> None:
    """List the models, oldest first."""
    from pixguard.store import reader
    from pixguard.store.engine import reading

    name = None if wanted.dataset is None else registered_name(wanted.dataset)
    with reading(output.database) as engine:
        found = reader.models(engine, kind=wanted.kind, dataset_name=name)
        if name is not None and not found and not is_named(name):
            known = {stored.info.name for stored in reader.datasets(engine)}
            if name not in known:
                raise unknown_dataset(name, sorted(known))
        scores = reader.test_scores(engine)
        data = {stored.id: stored.info for stored in reader.datasets(engine)}
    if output.json:
        print_json([_with_score(m, data[m.dataset_id], scores.get(m.id)) for m in found])
        return
    rows = [_line(m, data[m.dataset_id], scores.get(m.id)) for m in found]
    print_rows(rows, "no models; make one with `pixguard train --dataset ...`")


@app.command()
@command
def show(choice: ShownModel, output: OutputOptions) -> None:
    """Show everything that is stored about a model, or its layers (paper, Tables 1 and 2)."""
    found, info = _find(output.database, choice.model)
    if choice.layers:
        _show_layers(found, info, output.json)
        return
    print_result(_describe(found, info), output.json)


@app.command()
@command
def export(choice: ExportedModel, output: OutputOptions) -> None:
    """Copy a model's weights to a file, with what rebuilds the model in a .json beside it."""
    from pixguard.runner.exporting import export_model
    from pixguard.store.location import WEIGHTS, files_folder

    database = output.database
    found, info = _find(database, choice.model)
    weights = files_folder(database) / WEIGHTS
    card = export_model(found, info, weights, choice.out)
    print_result({"weights": str(choice.out), "description": str(card)}, output.json)


@app.command()
@command
def trust(choice: ModelChoice, output: OutputOptions) -> None:
    """Trust the code of a model that you added elsewhere, or that came with a database.

    A database cannot say this for you: it is kept in your configuration folder, by the content of
    the code. Changed code is asked about anew.
    """
    from pixguard.store.location import WEIGHTS, files_folder

    found, _ = _find(output.database, choice.model)
    with TerminalDisplay().waiting("loading PyTorch"):
        from pixguard.classifiers import opening, trust

        code = opening.stored_code(found.record, files_folder(output.database) / WEIGHTS)
    if code is None:
        raise UsageError(
            f"model {found.id} ({found.record.architecture}) brings no code: it needs no trust",
            f"pixguard models show {found.id}",
        )
    trust.trust(code)
    result: dict[str, Any] = {"model": found.id, "code": f"{code.what}: it {code.does}"}
    result |= {"files": list(map(str, code.files)), "sha256": code.sha256}
    print_result(result | {"kept_in": str(trust.trust_file())}, output.json)


@app.command()
@command
def thresholds(choice: ThresholdChoice, run: DeviceOptions, output: OutputOptions) -> None:
    """Choose a multi-label classifier's thresholds on the validation images.

    What comes of it is another model, of the same weights: the newest, which commands take that
    name none. Labels that no validation image has keep their threshold.
    """
    with open_session(output.database, run.device) as session:
        from pixguard.runner.thresholds import set_thresholds

        result = set_thresholds(session, choice.model, choice.by, choice.data_dir)
    print_result(result, output.json)


@app.command()
@command
def remove(choice: ModelChoice, output: OutputOptions) -> None:
    """Remove a model that has no results, such as one that was added by mistake.

    One that has results is deleted with them by `pixguard db delete model ID`.
    """
    with open_session(output.database, "cpu") as session:
        from pixguard.runner.removing import remove

        result = remove(session, choice.model)
    print_result(result, output.json)


def _find(db: str, selector: str) -> "tuple[StoredModel, DatasetInfo]":
    """Return a model, and the dataset that it was trained on."""
    from pixguard.store import reader
    from pixguard.store.engine import reading

    with reading(db) as engine:
        model = reader.find_model(engine, selector)
        return model, reader.dataset(engine, model.dataset_id).info


def _show_layers(model: "StoredModel", info: DatasetInfo, as_json: bool) -> None:
    with TerminalDisplay().waiting("loading PyTorch"):
        from pixguard.runner.layers import layers_of_model

        table = layers_of_model(model, info)
    rows = [{"layer": n, **dataclasses.asdict(row)} for n, row in enumerate(table.rows, start=1)]
    totals = {
        "total_parameters": table.total_parameters,
        "trainable_parameters": table.trainable_parameters,
        "frozen_parameters": table.frozen_parameters,
    }
    if as_json:
        named = {"model": model.id, "architecture": model.record.architecture}
        print_json({**named, "layers": rows, **totals})
        return
    columns = ("layer", "type", "output (H, W, C)", "parameters")
    lines = [tuple(row.values()) for row in rows]
    for title, total in zip(("Total", "Trainable", "Non-Trainable"), totals.values(), strict=True):
        lines.append((f"{title} Parameters", None, None, total))
    print_rows([dict(zip(columns, line, strict=True)) for line in lines], "")


def _describe(model: "StoredModel", info: DatasetInfo) -> dict[str, Any]:
    return {**_flat(model), "dataset": dataclasses.asdict(info)}


def _flat(model: "StoredModel") -> dict[str, Any]:
    values = dataclasses.asdict(model)
    values["tags"] = sorted(values["tags"])
    return {"id": values.pop("id"), **values.pop("record"), **values}


def _with_score(
    model: "StoredModel", info: DatasetInfo, score: "CleanScore | None"
) -> dict[str, Any]:
    return {
        **_flat(model),
        "source": info.source,
        "size": info.size_name,
        "seed": model.record.hyperparameters.get("seed"),
        "test_images": score.images if score else None,
        "test_correct": score.correct if score else None,
        "test_accuracy": score.accuracy if score else None,
    }


def _line(model: "StoredModel", info: DatasetInfo, score: "CleanScore | None") -> dict[str, Any]:
    """Return the row of a table for people; what the user brought is known by its name alone."""
    record = model.record
    return {
        "id": model.id,
        "kind": record.kind,
        "name": record.name,
        "architecture": None if record.name == record.architecture else record.architecture,
        "thresholds": record.hyperparameters.get("thresholds_by"),
        "tags": ", ".join(sorted(model.tags)) or None,
        "dataset": model.dataset_name,
        "source": info.source,
        "size": info.size_name,
        "made": local_time(model.created_ms),
        "seed": record.hyperparameters.get("seed"),
        "epochs": record.epochs,
        "test_accuracy": f"{score.accuracy:.4f}" if score else None,
        "test_images": score.images if score else None,
        "parameters": record.trainable_parameters + record.frozen_parameters,
    }
