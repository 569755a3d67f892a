"""Takes a model out of the registry: its weights, and what rebuilds it."""

import json
from dataclasses import asdict
from pathlib import Path

from pixguard.errors import PixguardError, UsageError
from pixguard.files import write_atomically
from pixguard.records import DatasetInfo
from pixguard.store.reader import StoredModel


def export_model(model: StoredModel, info: DatasetInfo, weights: Path, target: Path) -> Path:
    """Copy a model's weights to ``target``; return the description's file, JSON beside it.

    Raises:
        UsageError: the model has no weights, or a file is in the way.
        PixguardError: the weights are missing, or the files cannot be written.
    """
    record = model.record
    card = target.with_name(f"{target.name}.json")
    if not record.weights_file:
        raise UsageError(
            f"{record.architecture} (model {model.id}) has no weights to export",
            "pixguard models list",
        )
    for path in (target, card):
        if path.exists():
            raise UsageError(f"{path} exists already", "remove it, or name another file: `to=FILE`")
    try:
        content = (weights / record.weights_file).read_bytes()
    except OSError as error:
        raise PixguardError(
            f"the weights of model {model.id} are missing: {weights / record.weights_file}",
            "restore the file from a backup, or train the model again",
        ) from error
    values = asdict(model)
    description = {"id": values.pop("id"), **values.pop("record"), "tags": sorted(model.tags)}
    description["dataset"] = asdict(info)
    del description["dataset"]["location"]  # it says whose computer this is
    write_atomically(target, content)
    write_atomically(card, json.dumps(description, indent=2, ensure_ascii=False).encode())
    return card
