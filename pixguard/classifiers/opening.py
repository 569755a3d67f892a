"""A registered classifier, opened again from its record and its file."""

from pathlib import Path

import torch
from torch import nn

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.external import (
    Format,
    code_of,
    file_sha256,
    open_recorded,
    read_file,
)
from pixguard.classifiers.outputs import Outputs, as_logits
from pixguard.classifiers.source import BuilderSource, find_source
from pixguard.classifiers.trust import Code, require_trust
from pixguard.errors import PixguardError, UsageError
from pixguard.models.weights import load_weights
from pixguard.records import DatasetInfo, ModelRecord

THRESHOLDS = "thresholds"
"""The parameter of a record that holds a threshold for each label, where they were chosen."""
_HINT = "if you know who made it: pixguard models trust MODEL"


def open_classifier(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    """Return a registered classifier on a device, in evaluation mode.

    Args:
        record: one that pixguard trained, or one that ``pixguard models add`` registered: its
            ``parameters`` then hold the format. They hold thresholds where some were chosen.
        info: the dataset that it belongs to.
        weights: the folder of weights.
        device: where it is to stand.

    Raises:
        PixguardError: its file is missing, damaged or not that of the record.
        UntrustedError: it brings code that this user has not trusted on this machine.
        UsageError: the code that builds it is missing, or has changed.
    """
    if "format" in record.parameters:
        classifier = _open_external(record, info, weights, device)
    else:
        classifier = build_classifier(record.architecture, info)
        load_weights(classifier, weights / record.weights_file, record.content_sha256)
    if THRESHOLDS in record.parameters:
        classifier.thresholds.copy_(torch.tensor(record.parameters[THRESHOLDS]))
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
        source = _source_of(record)
        require_trust(source.code(given["arguments"]), _HINT)
        classifier = classifier_of(source.build(given["arguments"]))
        load_weights(classifier, path, given["content_sha256"])
        return classifier
    content = _content_of(record, path)
    require_trust(code_of(content, form, path), _HINT)
    recorded = open_recorded(content, form, device, differentiable=given["differentiable"])
    return classifier_of(recorded)


def stored_code(record: ModelRecord, weights: Path) -> Code | None:
    """Return the code that opening a registered classifier runs; None where it runs none.

    Raises:
        PixguardError: its file is missing, or not that of the record.
        UsageError: the code that builds it is missing, or has changed.
    """
    form = record.parameters.get("format")
    if form is None:
        return None
    if form == "builder":
        return _source_of(record).code(record.parameters["arguments"])
    path = weights / record.weights_file
    return code_of(_content_of(record, path), form, path)


def _source_of(record: ModelRecord) -> BuilderSource:
    source = find_source(record.parameters["builder"])
    if not source.holds(record.parameters["source_sha256"]):
        raise UsageError(
            f"the code of {source.builder} has changed since {record.architecture!r} was "
            "registered",
            "restore it, or register the new one: pixguard models add --builder ...",
        )
    return source


def _content_of(record: ModelRecord, path: Path) -> bytes:
    content = read_file(path)
    if file_sha256(content) != record.parameters["content_sha256"]:
        raise PixguardError(
            f"{path} is damaged or has been replaced: its content is not what was registered",
            "restore the file from a backup, or add the model again: pixguard models add",
        )
    return content
