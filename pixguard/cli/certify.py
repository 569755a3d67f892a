"""``pixguard certify``: classifiers that changed pixels provably cannot move, and by how far."""

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
from pixguard.config import VoteSettings
from pixguard.records import POLYPHASE_VOTE

app = new_app("Train a classifier with a certificate against changed pixels, and certify images.")

DEFAULTS = VoteSettings()


@app.command()
def train(
    dataset: DatasetOption,
    stride: Annotated[
        int,
        typer.Option(help="A vote is on every s-th pixel; s squared is the number of votes."),
    ] = DEFAULTS.stride,
    model: Annotated[
        str, typer.Option(help="The voter: small-cnn, resnet50, a torchvision name or timm/NAME.")
    ] = DEFAULTS.architecture,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    split: SplitOption = None,
    images: PhantomImagesOption = None,
    skip_bad: SkipBadOption = False,
    epochs: Annotated[int, typer.Option(min=1, help="At most so many epochs.")] = DEFAULTS.epochs,
    batch_size: Annotated[
        int, typer.Option(min=2, help="Sub-images a batch.")
    ] = DEFAULTS.batch_size,
    learning_rate: Annotated[float, typer.Option(min=1e-9)] = DEFAULTS.learning_rate,
    momentum: Annotated[float, typer.Option(min=0.0)] = DEFAULTS.momentum,
    stop_train_accuracy: Annotated[
        float, typer.Option(help="Stop above this training accuracy and ...")
    ] = DEFAULTS.stop_train_accuracy,
    stop_val_accuracy: Annotated[
        float, typer.Option(help="... above this validation accuracy.")
    ] = DEFAULTS.stop_val_accuracy,
    augment: Annotated[
        bool, typer.Option("--augment", help="Flip, turn and shift training images a little.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=2, help="Train on so many images only.")] = None,
    seed: SeedOption = 0,
    fresh_seed: FreshSeedOption = False,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Train a polyphase vote: one classifier, asked about each sub-image of every s-th pixel."""
    with open_session(db, device) as session:
        from pixguard.classifiers.builders import canonical_name
        from pixguard.classifiers.training import default_loss
        from pixguard.runner.certifying import train as run
        from pixguard.runner.registering import with_fresh_seed

        refuse_both(resume, fresh_seed)
        opened = training_dataset(session, dataset, source, size, data_dir, split, images, skip_bad)
        settings = VoteSettings(
            architecture=canonical_name(model),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            momentum=momentum,
            stop_train_accuracy=stop_train_accuracy,
            stop_val_accuracy=stop_val_accuracy,
            loss=default_loss(opened.info.task),
            augment=augment,
            limit=limit,
            seed=seed,
            stride=stride,
        )
        if fresh_seed:
            settings = with_fresh_seed(session, opened.info, settings)
        result = run(session, opened, settings, resume=resume)
    print_result(result, json)


@app.command()
def apply(
    dataset: DatasetOption,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Certify so many test images only.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="Polyphase vote: an id. Default: the newest.")
    ] = POLYPHASE_VOTE,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Count the votes on test images, and store how many changed pixels each decision withstands.

    What the database holds already is left out, so that a run that was interrupted goes on.
    """
    with open_session(db, device) as session:
        from pixguard.runner.certifying import certify
        from pixguard.runner.subject import open_subject

        subject = open_subject(session, request(dataset, source, size, data_dir), model)
        result = certify(session, subject, limit)
    print_result(result, json)
