"""A registered classifier, opened again from its record and its file."""

from pathlib import Path

import torch
from torch import nn

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.external import (
    Format,
    build_network,
    file_sha256,
    open_recorded,
    read_file,
    source_sha256,
)
from pixguard.classifiers.outputs import Outputs, as_logits
from pixguard.errors import PixguardError, UsageError
from pixguard.models.weights import load_weights
from pixguard.records import DatasetInfo, ModelRecord


def open_classifier(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    """Return a registered classifier on a device, in evaluation mode.

    Args:
        record: one that pixguard trained, or one that ``pixguard models add`` registered: its
            ``parameters`` then hold the format.
        info: the dataset that it belongs to.
        weights: the folder of weights.
        device: where it is to stand.

    Raises:
        PixguardError: its file is missing, damaged or not that of the record.
        UsageError: the code that builds it is missing, or has changed.
    """
    if "format" in record.parameters:
        classifier = _open_external(record, info, weights, device)
    else:
        classifier = build_classifier(record.architecture, info)
        load_weights(classifier, weights / record.weights_file, record.content_sha256)
    return classifier.to(device).eval()


def _open_external(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    given, path = record.parameters, weights / record.weights_file
    form: Format = given["format"]
    mean, std = tuple(given["mean"]), tuple(given["std"])
    outputs: Outputs = given.get("outputs", "logits")
    is_one = given.get("one_output", False)

    def classifier_of(network: nn.Module) -> Classifier:
        logits = as_logits(network, outputs, info.task, is_one)
        return Classifier(logits, info.task, info.label_count, mean, std)

    if form == "builder":
        builder = given["builder"]
        if source_sha256(builder) != given["source_sha256"]:
            raise UsageError(
                f"the code of {builder} has changed since {record.architecture!r} was registered",
                "restore it, or register the new one: pixguard models add --builder ...",
            )
        network = build_network(builder, given["arguments"])
        classifier = classifier_of(network)
        load_weights(classifier, path, given["content_sha256"])
        return classifier
    content = read_file(path)
    if file_sha256(content) != given["content_sha256"]:
        raise PixguardError(
            f"{path} is damaged or has been replaced: its content is not what was registered",
            "restore the file from a backup, or add the model again: pixguard models add",
        )
    recorded = open_recorded(content, form, device, differentiable=given["differentiable"])
    return classifier_of(recorded)
