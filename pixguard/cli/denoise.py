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
        float,
        typer.Option(
            min=0.0,
            help="Level of the noise: share of pixels (impulse, salt-and-pepper), standard "
            "deviation for a data range of 1 (gaussian; poisson: at full intensity), or number of "
            "pixels (k-pixel).",
        ),
    ] = DEFAULTS.noise,
    noise_kind: Annotated[
        str, typer.Option(help="impulse, salt-and-pepper, gaussian, poisson or k-pixel.")
    ] = DEFAULTS.noise_kind,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after so many epochs without a better validation loss."),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Of the dae, by its name in Tables 4 and 5: depth-3, ...")
    ] = None,
    only_class: Annotated[
        str | None, typer.Option(help="Train on the images of this class only.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Train on so many images only.")] = None,
    seed: SeedOption = 0,
    fresh_seed: FreshSeedOption = False,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Train a denoiser on a dataset's training images with noise, and register it."""
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
            noise_kind=noise_kind,
            patience=patience,
            variant=variant,
            only_class=only_class,
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
    patch_select: Annotated[
        bool,
        typer.Option("--patch-select", help="Restore only patches that a denoiser changes much."),
    ] = False,
    clean: Annotated[
        int,
        typer.Option(
            min=0, help="Restore so many clean test images too: those the classifier gets right."
        ),
    ] = 0,
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
        result = run(
            session, subject, denoiser or [], pixels, patch_select=patch_select, clean=clean
        )
    print_result(result, json)
