"""``pixguard denoise``: train denoisers, and apply them to successfully attacked images."""

from typing import Annotated

import typer

from pixguard.cli.common import (
    DatabaseOption,
    DataDirOption,
    DatasetOption,
    DeviceOption,
    FreshSeedOption,
    JsonOption,
    ModelOption,
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
from pixguard.config import DenoiserSettings

app = new_app("Train denoisers, and restore successfully attacked images with them.")

DEFAULTS = DenoiserSettings(name="dae")


@app.command()
def train(
    dataset: DatasetOption,
    model: Annotated[
        str, typer.Option(help="autoencoder, dae, noise2noise or median-cnn.")
    ] = DEFAULTS.name,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    split: SplitOption = None,
    images: PhantomImagesOption = None,
    skip_bad: SkipBadOption = False,
    epochs: Annotated[int, typer.Option(min=1)] = DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(min=1)] = DEFAULTS.batch_size,
    learning_rate: Annotated[float, typer.Option(min=1e-9)] = DEFAULTS.learning_rate,
    noise: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of pixels replaced in training.")
    ] = DEFAULTS.noise,
    limit: Annotated[int | None, typer.Option(min=1, help="Train on so many images only.")] = None,
    seed: SeedOption = 0,
    fresh_seed: FreshSeedOption = False,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Train a denoiser on a dataset's training images with impulse noise, and register it."""
    with open_session(db, device) as session:
        from pixguard.runner.denoising import train as run
        from pixguard.runner.registering import with_fresh_seed

        refuse_both(resume, fresh_seed)
        opened = training_dataset(session, dataset, source, size, data_dir, split, images, skip_bad)
        settings = DenoiserSettings(
            name=model,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            noise=noise,
            limit=limit,
            seed=seed,
        )
        if fresh_seed:
            settings = with_fresh_seed(session, opened.info, settings)
        result = run(session, opened, settings, resume=resume)
    print_result(result, json)


@app.command()
def apply(
    dataset: DatasetOption,
    denoiser: Annotated[
        list[str] | None,
        typer.Option(help="Name or id; repeat for several. Default: the newest of each name."),
    ] = None,
    pixels: Annotated[
        int | None, typer.Option(min=1, help="Only attempts with so many pixels.")
    ] = None,
    model: ModelOption = "latest",
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Restore every successfully attacked image and let the classifier judge it again."""
    with open_session(db, device) as session:
        from pixguard.runner.denoising import apply as run
        from pixguard.runner.subject import open_subject

        subject = open_subject(session, request(dataset, source, size, data_dir), model)
        result = run(session, subject, denoiser or [], pixels)
    print_result(result, json)
