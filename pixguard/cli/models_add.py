"""``pixguard models add``: register a classifier that pixguard has not trained."""

import json as jsonlib
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from pixguard.cli.common import (
    DatabaseOption,
    DataDirOption,
    DatasetOption,
    DeviceOption,
    JsonOption,
    PhantomImagesOption,
    SizeOption,
    SkipBadOption,
    SourceOption,
    SplitOption,
    open_session,
    print_result,
    training_dataset,
)
from pixguard.errors import UsageError


def add(
    dataset: DatasetOption,
    file: Annotated[
        Path | None,
        typer.Argument(help="TorchScript file, or exported program (.pt2), that gives logits."),
    ] = None,
    builder: Annotated[
        str | None,
        typer.Option(help="module:function that returns the network; with --weights, not FILE."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Its state dict: .safetensors, .pt or .pth.")
    ] = None,
    arguments: Annotated[
        str, typer.Option(help="Arguments of the function, as a JSON object.")
    ] = "{}",
    name: Annotated[
        str | None, typer.Option(help="Name in the registry. Default: the file's, or function's.")
    ] = None,
    mean: Annotated[
        str, typer.Option(help="Subtracted from images in [0, 1]: a value, or one a channel.")
    ] = "",
    std: Annotated[
        str, typer.Option(help="Divided by afterwards: a value, or one a channel.")
    ] = "",
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    split: SplitOption = None,
    images: PhantomImagesOption = None,
    skip_bad: SkipBadOption = False,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Register your own classifier: check it against a dataset, copy it, judge the test images.

    It gets images (N, C, H, W) in [0, 1] and returns logits (N, classes), the classes in the
    order of `pixguard data info`.
    """
    given = file if builder is None else weights
    if given is None or (file is None) == (weights is None) or (builder is None) != bool(file):
        raise UsageError(
            "a model is a FILE, or a --builder and its --weights",
            "pixguard models add FILE --dataset ..., or "
            "pixguard models add --builder module:function --weights FILE --dataset ...",
        )
    chosen = name or (given.name.partition(".")[0] if builder is None else builder.split(":")[-1])
    with open_session(db, device) as session:
        from pixguard.runner.importing import ExternalModel
        from pixguard.runner.importing import add as run

        model = ExternalModel(
            file=given,
            name=chosen,
            builder=builder,
            arguments=_object(arguments),
            mean=_numbers("--mean", mean),
            std=_numbers("--std", std),
        )
        opened = training_dataset(session, dataset, source, size, data_dir, split, images, skip_bad)
        result = run(session, opened, model)
    print_result(result, json)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(",") if part.strip())
        if not all(map(math.isfinite, numbers)):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is no list of numbers", f"{option} 0.5, or {option} 0.4,0.5,0.6"
        ) from None
    return numbers


def _object(text: str) -> dict[str, Any]:
    try:
        value = jsonlib.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError(
            f"--arguments {text!r} is no JSON object", "--arguments '{\"num_classes\": 4}'"
        )
    return value
