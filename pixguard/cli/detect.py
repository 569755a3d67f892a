"""``pixguard detect``: train detectors on one class, and let them score all images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import typer

from pixguard.cli.common import new_app, open_session, print_result
from pixguard.cli.groups import LongOptions, OutputOptions, RunOptions
from pixguard.cli.options import Own, command, own_options
from pixguard.config import DatasetRequest, DetectorSettings, Settings, TrainingRequest, setting
from pixguard.config.attack import shard_setting
from pixguard.defences.detectors.registry import DETECTORS

app = new_app("Detect images unlike those of one class: rare findings, and attacked images.")


@dataclass(frozen=True, slots=True)
class ScoredImages(Settings):
    """What scores, and what is scored."""

    panel: ClassVar[str] = "Detectors"

    detector: list[str] | None = setting(
        None,
        "Id, or name of the normal class; repeat for several. Default: all.",
        names="detector",
    )
    model: str = setting(
        "latest",
        "Attacked classifier: an id, an architecture, or latest (the newest attacked).",
        short="-m",
        names="classifier",
    )
    shard: str | None = shard_setting()


@app.command()
@command
def train(
    ctx: typer.Context,
    data: TrainingRequest,
    settings: DetectorSettings,
    run: RunOptions,
    output: OutputOptions,
    own: Annotated[Mapping[str, Any], Own(DETECTORS)],
) -> None:
    """Train a detector on the images of a class, and register it."""
    settings = replace(settings, options=own_options(ctx, DETECTORS, settings.name, own))
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.detector_training import train_detectors
        from pixguard.runner.subject import open_for_training

        dataset = open_for_training(session, data)
        result = train_detectors(
            session, dataset, settings, resume=run.resume, fresh_seed=run.fresh_seed
        )
    print_result(result, output.json)


@app.command()
@command
def apply(
    data: DatasetRequest, scored: ScoredImages, run: LongOptions, output: OutputOptions
) -> None:
    """Score test images, clean and successfully attacked, with detectors."""
    with open_session(output.database, run.device, data) as session:
        from pixguard.runner.detecting import apply as score

        result = score(session, data, scored.detector or [], scored.model, scored.shard)
    print_result(result, output.json)
