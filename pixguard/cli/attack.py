"""``pixguard attack``: attack a classifier's correctly classified test images."""

from typing import Annotated, Literal

import typer

from pixguard.cli.common import (
    DatabaseOption,
    DataDirOption,
    DatasetOption,
    DeviceOption,
    FreshSeedOption,
    JsonOption,
    ModelOption,
    ResumeOption,
    SeedOption,
    SizeOption,
    SourceOption,
    exit_with_failures,
    open_session,
    print_result,
    refuse_both,
    request,
)
from pixguard.config import AttackSettings, DifferentialEvolutionSettings

EVOLUTION = DifferentialEvolutionSettings()
PAPER_PER_CLASS = 100


def attack(
    dataset: DatasetOption,
    pixels: Annotated[int, typer.Option(min=1, max=64, help="How many pixels to change.")] = 1,
    model: ModelOption = "latest",
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Attack so many images a class, drawn with the seed; 0 for all. Default, as in "
            "the paper: all for one pixel, 100 for more.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Attack so many images only.")] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Targeted attack on this class (name or ordinal), or `each` in turn."),
    ] = None,
    success: Annotated[
        Literal["label-set", "argmax"],
        typer.Option(help="Multi-label: what has to change for a success."),
    ] = "label-set",
    population: Annotated[int, typer.Option(min=4)] = EVOLUTION.population,
    generations: Annotated[
        int, typer.Option(min=0, help="At most, after the initial population.")
    ] = EVOLUTION.generations,
    mutation: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="Mutation factor F.")
    ] = EVOLUTION.mutation,
    strategy: Annotated[Literal["rand1", "best1"], typer.Option()] = EVOLUTION.strategy,
    init: Annotated[
        Literal["su", "uniform"], typer.Option(help="Initial colours: N(128, 127), or uniform.")
    ] = EVOLUTION.init,
    repeats: Annotated[int, typer.Option(min=1, help="Attempts an image.")] = 1,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Candidates evaluated at a time. Default: by device.")
    ] = None,
    seed: SeedOption = 0,
    fresh_seed: FreshSeedOption = False,
    resume: ResumeOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    device: DeviceOption = "auto",
    db: DatabaseOption = "pixguard.db",
    json: JsonOption = False,
) -> None:
    """Attack with differential evolution: the paper's attack and its settings by default."""
    with open_session(db, device) as session:
        from pixguard.runner import attacking
        from pixguard.runner.subject import open_subject

        refuse_both(resume, fresh_seed)
        subject = open_subject(session, request(dataset, source, size, data_dir), model)
        if per_class is None and pixels > 1:
            per_class = PAPER_PER_CLASS
            session.display.say("at most 100 images a class, as in the paper (--per-class 0: all)")
        settings = AttackSettings(
            pixels=pixels,
            per_class=per_class or None,
            limit=limit,
            target=target,
            success=success,
            repeats=repeats,
            seed=seed,
            batch=batch,
            evolution=DifferentialEvolutionSettings(
                population=population,
                generations=generations,
                mutation=mutation,
                strategy=strategy,
                init=init,
            ),
        )
        if dry_run:
            result = attacking.dry_run(session, subject, settings, fresh_seed=fresh_seed)
        else:
            result = attacking.attack(
                session, subject, settings, resume=resume, fresh_seed=fresh_seed
            )
    print_result(result, json)
    exit_with_failures(result.get("failed", 0))
