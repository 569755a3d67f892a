"""Registers a denoiser that was trained elsewhere: what its file holds, checked and copied."""

from pathlib import Path
from typing import Any

from torch.nn import Module

from pixguard.datasets.base import ImageDataset
from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.defences.restoring import restore
from pixguard.errors import PixguardError, UsageError
from pixguard.models.inputs import to_unit_range
from pixguard.models.weights import load_weights, parameter_counts, read_weights, save_weights
from pixguard.records import ModelRecord, digest
from pixguard.registry import load_target
from pixguard.runner.session import Session


def add(session: Session, dataset: ImageDataset, file: Path, name: str) -> dict[str, Any]:
    """Register the denoiser of a file for the images of a dataset.

    Args:
        session: where to work.
        dataset: whose images it is to restore.
        file: a state dict, .safetensors, .pt or .pth.
        name: of a denoiser that reads files.

    Returns:
        What ``pixguard denoise add --json`` prints.

    Raises:
        UsageError: there is no such denoiser, it is trained and not read, or what it needs is not
            installed.
        PixguardError: the file cannot be read, or holds another network; what it makes of an image
            is not finite.
    """
    entry, info = DENOISERS[name], dataset.info
    if not entry.reads:
        readers = ", ".join(one.name for one in DENOISERS if one.reads)
        raise UsageError(f"the denoiser {name!r} does not come from a file", f"one of: {readers}")
    parameters = load_target(entry.reads)(read_weights(file), info.channels)
    denoiser = build_denoiser(name, info.channels, **parameters)
    network = denoiser.network
    assert isinstance(network, Module)
    load_weights(network, file)
    denoiser.to(session.device).eval()
    tested = dataset.indices("test")[:1]
    if len(tested):
        image = to_unit_range(dataset.images(tested), session.device)
        if not restore(denoiser, image, batch=1).isfinite().all():
            raise PixguardError(
                f"what the network of {file} makes of an image is not finite",
                "a file of another training",
            )
    weights_file, content_sha256 = save_weights(denoiser, session.weights)
    images = [info.name, info.source, info.size, info.version, info.manifest_sha256]
    trainable, frozen = parameter_counts(denoiser)
    record = ModelRecord(
        kind="denoiser",
        architecture=name,
        # The same file for other images is another model.
        weights_sha256=digest(
            [content_sha256, *images, info.split_scheme, info.split_seed, name, parameters]
        ),
        weights_file=weights_file,
        parameters=parameters,
        hyperparameters={"added_from": file.name, "content_sha256": content_sha256},
        trainable_parameters=trainable,
        frozen_parameters=frozen,
        training_seconds=0.0,
        epochs=0,
    )
    with session.writer({"file": str(file), "denoiser": name, "dataset": info.name}, 0) as writer:
        model_id = writer.model(record, writer.dataset(info), ())
    return {
        "model": model_id,
        "denoiser": name,
        "dataset": info.name,
        **parameters,
        "parameters": trainable + frozen,
        "weights": str(session.weights / weights_file),
    }
