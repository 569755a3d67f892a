"""``pixguard denoise validate | ablation | depth``: Tables 3, 4 and 5 as resumable plans."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from pixguard.cli.common import open_session, print_result
from pixguard.cli.groups import OutputOptions, RunOptions
from pixguard.cli.options import Without, command
from pixguard.config import DenoiserSettings, Settings, TrainingRequest, setting
from pixguard.defences.denoisers.variants import PAPER_DATASET

PLANS = {
    "validate": "Table 3: train the original autoencoder and the DAE, and judge them on noise.",
    "ablation": "Table 4: train the DAE with its modules added one by one, and judge each.",
    "depth": "Table 5: train the DAE at three depths, and judge each on noise.",
}
"""The commands and what they do; :data:`pixguard.runner.ablation.PLANS` has the denoisers."""


@dataclass(frozen=True, slots=True)
class PlanData(TrainingRequest):
    """The dataset of a plan."""

    name: str = setting(
        PAPER_DATASET,
        "The paper's is AbdomenCT of Kaggle's Medical MNIST.",
        flag="--dataset",
        short="-d",
        names="dataset",
    )


@dataclass(frozen=True, slots=True)
class PlanOptions(Settings):
    """On what each denoiser is judged."""

    panel: ClassVar[str] = "Denoisers"

    test_limit: int | None = setting(
        None, "Test on at most that many images, drawn by the seed.", low=1, unit="images"
    )


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``pixguard denoise``."""
    for plan, text in PLANS.items():
        app.command(plan, help=text)(_command(plan))


def _command(plan: str) -> Callable[..., None]:
    @command
    def carry_out(
        data: Annotated[PlanData, Without("phantom_images", "skip_bad")],
        settings: Annotated[DenoiserSettings, Without("name", "noise_kind", "patience")],
        options: PlanOptions,
        run: Annotated[RunOptions, Without("fresh_seed")],
        output: OutputOptions,
    ) -> None:
        with open_session(output.database, run.device, data) as session:
            from pixguard.runner.ablation import run_plan
            from pixguard.runner.subject import open_for_training

            dataset = open_for_training(session, data)
            result = run_plan(
                session, dataset, plan, settings, options.test_limit, resume=run.resume
            )
        print_result(result, output.json)

    return carry_out
