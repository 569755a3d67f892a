"""Registers a classifier that pixguard has not trained: checked, copied, judged."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.external import (
    SUFFIXES,
    Format,
    RecordedNetwork,
    code_of,
    detect_format,
    file_sha256,
    open_recorded,
    read_file,
)
from pixguard.classifiers.fitting import check_fit
from pixguard.classifiers.outputs import (
    AsLogits,
    Outputs,
    as_logits,
    innermost,
    lost_remark,
    outputs_problem,
)
from pixguard.classifiers.source import BuilderSource, find_source
from pixguard.classifiers.trust import Code, require_trust, trust
from pixguard.datasets.base import ImageDataset
from pixguard.errors import DataError, UsageError, is_out_of_memory
from pixguard.files import write_atomically
from pixguard.models.inputs import to_unit_range
from pixguard.models.weights import load_weights, parameter_counts, save_weights
from pixguard.records import DatasetInfo, ModelRecord, digest
from pixguard.runner.judging import doubt, judge_test_images
from pixguard.runner.removing import removed_without_answers
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.store import reader


@dataclass(frozen=True, slots=True)
class ExternalModel:
    """What a user brings.

    Attributes:
        file: the program; with a ``builder`` the weights, a state dict.
        name: what it is called in the registry.
        builder: ``module:function``, None for a program.
        arguments: of the function.
        mean: a channel, subtracted from images in [0, 1]; one value for all; empty for 0.
        std: a channel, divided by afterwards; one value for all; empty for 1.
        outputs: what it gives; None: logits, unless they look like probabilities.
        trust: run its code, and trust it from now on; else only what is trusted already runs.
    """

    file: Path
    name: str
    builder: str | None = None
    arguments: Mapping[str, Any] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    outputs: Outputs | None = None
    trust: bool = False


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a user brought, open: the file's content is empty where there is source instead."""

    form: Format
    classifier: Classifier
    content: bytes = b""
    source: BuilderSource | None = None


def add(session: Session, dataset: ImageDataset, model: ExternalModel) -> dict[str, Any]:
    """Check a user's classifier against a dataset, copy it, register it, judge it.

    The same file with the same normalisation for the same images is the same model: added again,
    it goes on with what is left to judge.

    Returns:
        What ``pixguard models add --json`` prints.

    Raises:
        UntrustedError: its code is not trusted, and the user does not say to trust it.
        UsageError: the classifier does not fit the dataset; its name is taken for something else.
        PixguardError: its file cannot be read, or its answer to a test image is not finite.
        InterruptedRunError: a stop was requested while the test images were judged.
    """
    info = dataset.info
    reader.refuse_selector(model.name)
    tested = dataset.indices("test").tolist()
    if not tested:
        raise DataError(f"dataset {info.name!r} has no test images to judge", "`split=paper`")
    opened = _open(session, info, model)
    classifier = opened.classifier
    classifier.to(session.device).eval()
    samples = [
        to_unit_range(dataset.images(group), session.device)
        for group in dataset.by_shape(_to_try(dataset, tested))
    ]
    _take_outputs(session, classifier, model, samples)
    differentiable = all([check_fit(classifier, images, info) for images in samples])
    with torch.no_grad():
        lost = lost_remark(classifier, torch.cat([classifier(images) for images in samples]))
    if lost:
        session.display.say(lost)
    network = innermost(classifier.network)
    if isinstance(network, RecordedNetwork):
        network.differentiable = differentiable
    if not differentiable:
        session.display.say(
            "it gives no gradient: attacks that need one (sigma-zero, corner with "
            "`order=gradient`) do not work on it"
        )
    with session.writer({**asdict(model), "dataset": info.name}, 0) as writer:
        # Not before the database is this process's: weights that no model has may be removed.
        record = _record(session, info, model, opened, differentiable)
        model_id = writer.model(record, writer.dataset(info), ())
        stored = reader.model(writer.engine, model_id)
        subject = Subject(dataset, stored.dataset_id, stored, classifier)
        with removed_without_answers(session, writer, stored):
            predictions = judge_test_images(session, writer, subject, session.command)
    correct = sum(predictions[i].predicted == dataset.label_set(i) for i in tested)
    warning = doubt(dataset, predictions)
    if warning:
        session.display.say(warning)
    return {
        "run": writer.run_id,
        "model": stored.id,
        "name": stored.record.name,
        "architecture": stored.record.architecture,
        "format": opened.form,
        "dataset": info.name,
        "source": info.source,
        "size": info.size_name,
        "differentiable": differentiable,
        "test_images": len(tested),
        "test_correct": correct,
        "test_accuracy": correct / len(tested),
        "outputs": record.parameters.get("outputs", "logits"),
        **({"warning": warning} if warning else {}),
        "weights": str(session.weights / stored.record.weights_file),
    }


def _take_outputs(
    session: Session, classifier: Classifier, model: ExternalModel, samples: Sequence[Tensor]
) -> None:
    """Make a classifier of what a network gives: probabilities inverted, one logit made two.

    Raises:
        UsageError: outputs look like probabilities, and the user has not said what they are; or
            they are not what the user said.
    """
    network, task = classifier.network, classifier.task
    try:
        with torch.no_grad():
            found = [network((s - classifier.mean) / classifier.std) for s in samples]
    except Exception as error:  # it is the user's code; check_fit tells what is wrong
        if is_out_of_memory(error):
            raise
        return
    if not all(isinstance(outputs, Tensor) and outputs.ndim == 2 for outputs in found):
        return
    is_one = task == "multi-class" and classifier.label_count == 2 and found[0].shape[1] == 1
    if problem := outputs_problem(torch.cat(found), model.outputs, task):
        raise UsageError(f"the model's {problem}", _other_outputs(model.outputs, problem))
    if is_one:
        session.display.say("its one output is taken for the second class's, against the first's")
    classifier.network = as_logits(network, model.outputs or "logits", task, is_one)


def _other_outputs(named: Outputs | None, problem: str) -> str:
    """Return what to do where outputs are not what they are said, or taken, to be."""
    if named is not None:
        return "`outputs=logits` if they are logits; or a model that ends in its logits"
    if "look like" in problem:
        return "`outputs=probabilities` to invert them, or `outputs=logits` if they are logits"
    return "a model without its last sigmoid, or `outputs=logits` if they are logits"


def _to_try(dataset: ImageDataset, tested: list[int]) -> list[int]:
    """Return the images that a model is tried on: where sizes differ, the extreme ones too."""
    ranked = sorted(tested, key=lambda i: min(dataset.shape(i)))
    extremes = [ranked[0], ranked[-1]] if dataset.info.is_native else []
    return list(dict.fromkeys([*tested[:5], *extremes]))


def _open(session: Session, info: DatasetInfo, model: ExternalModel) -> _Opened:
    """Open what a user brings, once its code is trusted."""
    mean = _by_channel(model.mean, info.channels, "mean", 0.0)
    std = _by_channel(model.std, info.channels, "std", 1.0)
    if min(std) <= 0:
        raise UsageError("a standard deviation must be above 0", "`std=1`")

    def classifier_of(network: torch.nn.Module) -> Classifier:
        return Classifier(network, info.task, info.label_count, mean, std)

    if model.builder is None:
        content = read_file(model.file)
        form = detect_format(content, model.file.name)
        _take(code_of(content, form, model.file), model.trust)
        network = open_recorded(content, form, session.device)
        return _Opened(form, classifier_of(network), content=content)
    arguments = model.arguments or {}
    source = find_source(model.builder)
    _take(source.code(arguments), model.trust)
    built = source.build(arguments)
    load_weights(built, model.file)
    return _Opened("builder", classifier_of(built), source=source)


def _take(code: Code, trusted: bool) -> None:
    if trusted:
        trust(code)
    require_trust(code, "`trust=True`, if you know who made it")


def _record(
    session: Session,
    info: DatasetInfo,
    model: ExternalModel,
    opened: _Opened,
    differentiable: bool,
) -> ModelRecord:
    """Copy the model to the folder of weights; return its record.

    Its identity is more than its file: the same weights mean something else with another
    normalisation, other code around them, or other images.
    """
    classifier, source = opened.classifier, opened.source
    if source is None:
        content_sha256 = file_sha256(opened.content)
        file = f"{content_sha256[:16]}{SUFFIXES[opened.form]}"
        write_atomically(session.weights / file, opened.content)
    else:
        file, content_sha256 = save_weights(classifier, session.weights)
    parameters: dict[str, Any] = {
        "format": opened.form,
        "content_sha256": content_sha256,
        "mean": classifier.mean.flatten().tolist(),
        "std": classifier.std.flatten().tolist(),
        "differentiable": differentiable,
    }
    if isinstance(classifier.network, AsLogits):  # else as in records made before there was this
        parameters["outputs"] = classifier.network.outputs
        parameters["one_output"] = classifier.network.is_one
    if source is not None:
        parameters |= {
            "builder": source.builder,
            "arguments": dict(model.arguments or {}),
            "source_sha256": source.sha256,
        }
    images = [info.name, info.source, info.size, info.version, info.manifest_sha256]
    identity = [*images, info.split_scheme, info.split_seed, model.name, parameters]
    trainable, frozen = parameter_counts(classifier)
    return ModelRecord(
        kind="classifier",
        architecture=model.name,
        weights_sha256=digest(identity),
        weights_file=file,
        parameters=parameters,
        hyperparameters={"added_from": model.file.name},
        trainable_parameters=trainable,
        frozen_parameters=frozen,
        training_seconds=0.0,
        epochs=0,
        name=model.name,
    )


def _by_channel(
    given: tuple[float, ...], channels: int, name: str, default: float
) -> tuple[float, ...]:
    if len(given) not in (0, 1, channels):
        raise UsageError(
            f"`{name}=...` has {len(given)} values; the images have {channels} channels",
            f"`{name}=...` with one value, or {channels}",
        )
    return given if len(given) == channels else (given or (default,)) * channels
