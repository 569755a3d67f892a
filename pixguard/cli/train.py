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
from pixguard.config import BalanceName, LossName, TrainSettings

DEFAULTS = TrainSettings()


def train(
    dataset: DatasetOption,
    model: Annotated[
        str, typer.Option(help="resnet50, densenet121, small-cnn, a torchvision name or timm/NAME.")
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
    loss: Annotated[
        LossName | None,
        typer.Option(help="Default: ce for one class an image, bce for several labels."),
    ] = None,
    balance: Annotated[
        BalanceName, typer.Option(help="Draw rare classes as often as others, or weight the loss.")
    ] = DEFAULTS.balance,
    augment: Annotated[
        bool, typer.Option("--augment", help="Flip, turn and shift training images a little.")
    ] = False,
    adversarial: Annotated[
        int, typer.Option(min=0, help="Change so many random pixels in half of each batch.")
    ] = DEFAULTS.adversarial,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Begin with torchvision's weights.")
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
        from pixguard.classifiers.builders import canonical_name
        from pixguard.classifiers.training import default_loss
        from pixguard.runner.registering import with_fresh_seed
        from pixguard.runner.training import train as run

        refuse_both(resume, fresh_seed)
        opened = training_dataset(session, dataset, source, size, data_dir, split, images, skip_bad)
        settings = TrainSettings(
            architecture=canonical_name(model),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            momentum=momentum,
            stop_train_accuracy=stop_train_accuracy,
            stop_val_accuracy=stop_val_accuracy,
            paper_early_stop=paper_early_stop,
            loss=loss or default_loss(opened.info.task),
            balance=balance,
            augment=augment,
            adversarial=adversarial,
            pretrained=pretrained,
            limit=limit,
            seed=seed,
        )
        if fresh_seed:
            settings = with_fresh_seed(session, opened.info, settings)
        result = run(session, opened, settings, resume=resume)
    print_result(result, json)
