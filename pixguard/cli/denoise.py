"""``pixguard denoise``: train denoisers, and apply them to successfully attacked images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from pixguard.cli.common import new_app, open_session, print_result
from pixguard.cli.groups import (
    ClassifierOptions,
    DeviceOptions,
    LongOptions,
    OutputOptions,
    RunOptions,
)
from pixguard.cli.options import Own, command, own_options
from pixguard.config import DatasetRequest, DenoiserSettings, Settings, TrainingRequest, setting
from pixguard.config.attack import shard_setting
from pixguard.defences.denoisers.registry import DENOISERS

app = new_app("Train denoisers, and restore successfully attacked images with them.")


@dataclass(frozen=True, slots=True)
class RestoringOptions(Settings):
    """What restores, and what is restored."""

    panel: ClassVar[str] = "Denoisers"

    denoiser: list[str] | None = setting(
        None,
        "Name or id; repeat for several. Default: the newest of each name.",
        names="denoiser",
    )
    pixels: int | None = setting(
        None, "Only attempts that changed that many pixels.", short="-p", low=1, unit="pixels"
    )
    patch_select: bool = setting(False, "Restore only patches that a denoiser changes much.")
    shard: str | None = shard_setting()


@app.command()
@command
def train(
    ctx: typer.Context,
    data: TrainingRequest,
    settings: DenoiserSettings,
    run: RunOptions,
    output: OutputOptions,
    own: Annotated[Mapping[str, Any], Own(DENOISERS)],
) -> None:
    """Train a denoiser on a dataset's training images with noise, and register it."""
    settings = replace(settings, options=own_options(ctx, DENOISERS, settings.name, own))
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.denoiser_training import DenoiserTraining
        from pixguard.runner.subject import open_for_training
        from pixguard.runner.training import train as run_training

        training = DenoiserTraining(open_for_training(session, data), settings)
        result = run_training(session, training, resume=run.resume, fresh_seed=run.fresh_seed)
    print_result(result, output.json)


@dataclass(frozen=True, slots=True)
class AddedDenoiser(Settings):
    """A denoiser that was trained elsewhere."""

    panel: ClassVar[str] = "Denoisers"

    file: Path = setting(
        Path(), "Its state dict: .safetensors, .pt or .pth.", argument=True, metavar="FILE"
    )
    name: str = setting(
        "scunet",
        "Which network it is of; scunet needs pixguard[spandrel].",
        flag="--model",
        short="-m",
    )


@app.command()
@command
def add(
    added: AddedDenoiser, data: TrainingRequest, run: DeviceOptions, output: OutputOptions
) -> None:
    """Register a denoiser that was trained elsewhere, for the images of a dataset."""
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.denoiser_adding import add as register
        from pixguard.runner.subject import open_for_training

        result = register(session, open_for_training(session, data), added.file, added.name)
    print_result(result, output.json)


@app.command()
@command
def apply(
    data: DatasetRequest,
    classifier: ClassifierOptions,
    restoring: RestoringOptions,
    run: LongOptions,
    output: OutputOptions,
) -> None:
    """Restore attacked images and their clean ones, and let the classifier judge them again."""
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.restoring import apply as restore
        from pixguard.runner.subject import open_subject

        subject = open_subject(session, data, classifier.model, classifier.attack_at)
        result = restore(
            session,
            subject,
            restoring.denoiser or [],
            restoring.pixels,
            patch_select=restoring.patch_select,
            shard=restoring.shard,
        )
    print_result(result, output.json)
