"""``pixguard models add``: register a classifier that pixguard has not trained."""

import json as jsonlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pixguard.cli.common import open_session, print_result
from pixguard.cli.groups import DeviceOptions, OutputOptions
from pixguard.cli.options import command
from pixguard.config import TrainingRequest
from pixguard.config.settings import Settings, setting
from pixguard.errors import UsageError


@dataclass(frozen=True, slots=True)
class AddedModel(Settings):
    """A model of the user's own."""

    panel: ClassVar[str] = "Model"

    file: Path | None = setting(
        None,
        "TorchScript file, or exported program (.pt2), that gives logits.",
        argument=True,
    )
    builder: str | None = setting(
        None, "module:function that returns the network; with --weights, not FILE."
    )
    weights: Path | None = setting(None, "Its state dict: .safetensors, .pt or .pth.")
    arguments: str = setting("{}", "Arguments of the function, as a JSON object.")
    name: str | None = setting(
        None, "Name in the registry. Default: the file's, or the function's."
    )
    mean: str = setting(
        "", "Subtracted from images in [0, 1]: a value, or one a channel.", in_file=True
    )
    std: str = setting("", "Divided by afterwards: a value, or one a channel.", in_file=True)
    outputs: Literal["logits", "probabilities"] | None = setting(
        None,
        "What it gives; probabilities are inverted. Default: logits; what looks like probabilities "
        "is refused.",
    )
    trust: bool = setting(
        False,
        "Run its code, now and whenever it is used here: you know who made it.",
        in_file=False,
    )


@command
def add(
    model: AddedModel, data: TrainingRequest, run: DeviceOptions, output: OutputOptions
) -> None:
    """Register your own classifier: check it against a dataset, copy it, judge the test images.

    It gets images (N, C, H, W) in [0, 1] and returns logits (N, classes), the classes in the
    order of `pixguard data info`. Every form of it runs code: --trust says that it may.
    """
    file, builder, weights = model.file, model.builder, model.weights
    given = file if builder is None else weights
    if given is None or (file is None) == (weights is None) or (builder is None) != bool(file):
        raise UsageError(
            "a model is a FILE, or a --builder and its --weights",
            "pixguard models add FILE --dataset ..., or "
            "pixguard models add --builder module:function --weights FILE --dataset ...",
        )
    own_name = given.name.partition(".")[0] if builder is None else builder.split(":")[-1]
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner import importing
        from pixguard.runner.subject import open_for_training

        external = importing.ExternalModel(
            file=given,
            name=model.name or own_name,
            builder=builder,
            arguments=_object(model.arguments),
            mean=_numbers("--mean", model.mean),
            std=_numbers("--std", model.std),
            outputs=model.outputs,
            trust=model.trust,
        )
        opened = open_for_training(session, data)
        result = importing.add(session, opened, external)
    print_result(result, output.json)


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
