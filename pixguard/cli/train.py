"""``pixguard train``: train a classifier and register it."""

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
    open_session,
    print_result,
    refuse_both,
    training_dataset,
)
from pixguard.config import TrainSettings

DEFAULTS = TrainSettings()


def train(
    dataset: DatasetOption,
    model: Annotated[
        str, typer.Option(help="resnet50, densenet121, small-cnn, or a torchvision name.")
    ] = DEFAULTS.architecture,
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    split: SplitOption = None,
    images: PhantomImagesOption = None,
    skip_bad: SkipBadOption = False,
    epochs: Annotated[int, typer.Option(min=1, help="At most so many epochs.")] = DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(min=2)] = DEFAULTS.batch_size,
    learning_rate: Annotated[float, typer.Option(min=1e-9)] = DEFAULTS.learning_rate,
    momentum: Annotated[float, typer.Option(min=0.0)] = DEFAULTS.momentum,
    stop_train_accuracy: Annotated[
        float, typer.Option(help="Stop above this training accuracy and ...")
    ] = DEFAULTS.stop_train_accuracy,
    stop_val_accuracy: Annotated[
        float, typer.Option(help="... above this validation accuracy.")
    ] = DEFAULTS.stop_val_accuracy,
    paper_early_stop: Annotated[
        bool, typer.Option(help="Judge the second on test data, as the paper did (it leaks).")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=2, help="Train on so many images only.")] = None,
    seed: SeedOption = 0,
    fresh_seed: FreshSeedOption = False,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Train a classifier as the paper did, judge it on the test images, and register it."""
    with open_session(db, device) as session:
        from pixguard.runner.registering import with_fresh_seed
        from pixguard.runner.training import train as run

        refuse_both(resume, fresh_seed)
        opened = training_dataset(session, dataset, source, size, data_dir, split, images, skip_bad)
        settings = TrainSettings(
            architecture=model,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            momentum=momentum,
            stop_train_accuracy=stop_train_accuracy,
            stop_val_accuracy=stop_val_accuracy,
            paper_early_stop=paper_early_stop,
            limit=limit,
            seed=seed,
        )
        if fresh_seed:
            settings = with_fresh_seed(session, opened.info, settings)
        result = run(session, opened, settings, resume=resume)
    print_result(result, json)
