"""``pixguard detect``: train detectors on one class, and let them score all images."""

from typing import Annotated

import typer

from pixguard.cli.common import (
    DatabaseOption,
    DataDirOption,
    DatasetOption,
    DeviceOption,
    FreshSeedOption,
    JsonOption,
    PhantomImagesOption,
    ResumeOption,
    SeedOption,
    SizeOption,
    SkipBadOption,
    SourceOption,
    SplitOption,
    new_app,
    open_session,
    print_result,
    refuse_both,
    request,
    training_dataset,
)
from pixguard.config import DetectorSettings

app = new_app("Detect images unlike those of one class: rare findings, and attacked images.")

DEFAULTS = DetectorSettings(normal="")


@app.command()
def train(
    dataset: DatasetOption,
    normal: Annotated[
        str | None,
        typer.Option(
            help="The class to be enclosed, or all: each in turn. Default: no finding, or the "
            "class with most training images."
        ),
    ] = None,
    nu: Annotated[
        float,
        typer.Option(
            help="Share of the images that it is fitted to that may raise an alarm, in (0, 1); of "
            "new images more do."
        ),
    ] = DEFAULTS.nu,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    split: SplitOption = None,
    images: PhantomImagesOption = None,
    skip_bad: SkipBadOption = False,
    epochs: Annotated[int, typer.Option(min=1, help="Of the autoencoder.")] = DEFAULTS.epochs,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Train on so many images of the class only.")
    ] = None,
    seed: SeedOption = 0,
    fresh_seed: FreshSeedOption = False,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Train an autoencoder and a one-class SVM on the images of a class, and register them."""
    with open_session(db, device) as session:
        from pixguard.runner.detector_training import majority_class
        from pixguard.runner.detector_training import train as run

        refuse_both(resume, fresh_seed)
        opened = training_dataset(session, dataset, source, size, data_dir, split, images, skip_bad)
        settings = DetectorSettings(
            normal=normal or majority_class(opened), nu=nu, epochs=epochs, limit=limit, seed=seed
        )
        result = run(session, opened, settings, resume=resume, fresh_seed=fresh_seed)
    print_result(result, json)


@app.command()
def apply(
    dataset: DatasetOption,
    detector: Annotated[
        list[str] | None,
        typer.Option(help="Id, or name of the normal class; repeat for several. Default: all."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Attacked classifier: an id, an architecture, or latest (the newest attacked)."
        ),
    ] = "latest",
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Score test images, clean and successfully attacked, with detectors."""
    with open_session(db, device) as session:
        from pixguard.runner.detecting import apply as run

        chosen = request(dataset, source, size, data_dir)
        result = run(session, chosen, detector or [], model)
    print_result(result, json)
