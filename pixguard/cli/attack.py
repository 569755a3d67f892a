"""``pixguard attack``: attack a classifier's correctly classified test images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from pixguard.attacks.dense_options import check_dense
from pixguard.attacks.registry import ATTACKS
from pixguard.cli.common import exit_with_failures, open_session, print_result
from pixguard.cli.groups import ClassifierOptions, OutputOptions, RunOptions
from pixguard.cli.options import Own, command, own_options
from pixguard.config import AttackSettings, DatasetRequest, WorkerSettings
from pixguard.config.settings import setting


@dataclass(frozen=True, slots=True)
class TargetOptions(ClassifierOptions):
    """What is attacked."""

    through: str | None = setting(
        None,
        "Attack the classifier behind this denoiser: an id, a name, or latest (the newest "
        "trained).",
        names="denoiser",
    )
    undetected_by: str | None = setting(
        None,
        "Count as a success only what this detector lets pass: an id, a name, or latest (the "
        "newest trained).",
        names="detector",
    )


@dataclass(frozen=True, slots=True)
class AttackRunOptions(RunOptions):
    """How to go on, or what would be done."""

    dry_run: bool = setting(False, "Say what would be done, and write nothing.")


@command
def attack(
    ctx: typer.Context,
    data: DatasetRequest,
    classifier: TargetOptions,
    settings: AttackSettings,
    run: AttackRunOptions,
    workers: WorkerSettings,
    output: OutputOptions,
    own: Annotated[Mapping[str, Any], Own(ATTACKS)],
) -> None:
    """Attack correctly classified test images; by default as the paper does."""
    settings = replace(settings, options=own_options(ctx, ATTACKS, settings.attack, own))
    if ATTACKS[settings.attack].dense:
        source = ctx.get_parameter_source("pixels")
        check_dense(settings.attack, source is not None and source.name == "COMMANDLINE")
        settings = replace(settings, pixels=1)  # a user's default is for other attacks
    with open_session(output.database, run.device, data, shares=True) as session:
        from pixguard.runner import attacking
        from pixguard.runner.subject import open_subject

        subject = open_subject(session, data, classifier.model, classifier.attack_at)
        given: Any = {
            "through": classifier.through,
            "undetected_by": classifier.undetected_by,
            "fresh_seed": run.fresh_seed,
        }
        if run.dry_run:
            result = attacking.dry_run(session, subject, settings, **given)
        else:
            result = attacking.attack(
                session, subject, settings, workers=workers, resume=run.resume, **given
            )
    print_result(result, output.json)
    again = session.again(result.get("seed", settings.seed))
    exit_with_failures(result.get("failed", 0), again)
