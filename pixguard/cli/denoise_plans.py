"""``pixguard denoise validate | ablation | depth``: Tables 3, 4 and 5 as resumable plans."""

from collections.abc import Callable
from typing import Annotated

import typer

from pixguard.cli.common import (
    DatabaseOption,
    DataDirOption,
    DeviceOption,
    JsonOption,
    ResumeOption,
    SeedOption,
    SizeOption,
    SourceOption,
    SplitOption,
    open_session,
    print_result,
    training_dataset,
)
from pixguard.config import DenoiserSettings

PAPER_DATASET = "medicalmnist"
PAPER_CLASS = "AbdomenCT"
DEFAULTS = DenoiserSettings(name="dae")
PLANS = {
    "validate": "Table 3: train the original autoencoder and the DAE, and judge them on noise.",
    "ablation": "Table 4: train the DAE with its modules added one by one, and judge each.",
    "depth": "Table 5: train the DAE at three depths, and judge each on noise.",
}
"""The commands and what they do; :data:`pixguard.runner.ablation.PLANS` has the denoisers."""


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``pixguard denoise``."""
    for plan, text in PLANS.items():
        app.command(plan, help=text)(_command(plan))


def _command(plan: str) -> Callable[..., None]:
    def command(
        dataset: Annotated[
            str, typer.Option(help="The paper's is AbdomenCT of Kaggle's Medical MNIST.")
        ] = PAPER_DATASET,
        source: SourceOption = None,
        size: SizeOption = None,
        data_dir: DataDirOption = None,
        split: SplitOption = None,
        only_class: Annotated[
            str | None,
            typer.Option(
                help="Train and test on the images of one class. Default: AbdomenCT for "
                "medicalmnist, else all classes."
            ),
        ] = None,
        epochs: Annotated[int, typer.Option(min=1)] = DEFAULTS.epochs,
        batch_size: Annotated[int, typer.Option(min=1)] = DEFAULTS.batch_size,
        learning_rate: Annotated[float, typer.Option(min=1e-9)] = DEFAULTS.learning_rate,
        noise: Annotated[
            float,
            typer.Option(min=0.0, max=1.0, help="Share of pixels replaced, in training and test."),
        ] = DEFAULTS.noise,
        limit: Annotated[
            int | None, typer.Option(min=1, help="Train on so many images only.")
        ] = None,
        test_limit: Annotated[
            int | None, typer.Option(min=1, help="Test on so many images only, drawn by the seed.")
        ] = None,
        seed: SeedOption = 0,
        resume: ResumeOption = False,
        device: DeviceOption = "auto",
        db: DatabaseOption = "pixguard.db",
        json: JsonOption = False,
    ) -> None:
        with open_session(db, device) as session:
            from pixguard.runner.ablation import run_plan

            opened = training_dataset(session, dataset, source, size, data_dir, split, None, False)
            settings = DenoiserSettings(
                name=DEFAULTS.name,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                noise=noise,
                only_class=only_class or (PAPER_CLASS if dataset == PAPER_DATASET else None),
                limit=limit,
                seed=seed,
            )
            result = run_plan(session, opened, plan, settings, test_limit, resume=resume)
        print_result(result, json)

    return command
