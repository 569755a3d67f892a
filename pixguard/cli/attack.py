"""``pixguard attack``: attack a classifier's correctly classified test images."""

from collections.abc import Mapping
from typing import Annotated, Literal

import typer

from pixguard.cli.common import (
    AttackAtOption,
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
from pixguard.config import (
    AttackSettings,
    DifferentialEvolutionSettings,
    EvaluatorName,
    PrecisionName,
)
from pixguard.errors import UsageError

AttackName = Literal[
    "differential-evolution", "exhaustive", "corner", "sparse-rs", "sigma-zero", "random"
]
"""The keys of :data:`pixguard.attacks.SEARCHES`, which is too heavy to import here."""

DEFAULTS = AttackSettings()
EVOLUTION = DEFAULTS.evolution
PAPER_PER_CLASS = 100

_EVOLUTION_ONLY: tuple[AttackName, ...] = ("differential-evolution",)
BELONGS_TO: Mapping[str, tuple[AttackName, ...]] = {
    **dict.fromkeys(("population", "generations", "mutation", "strategy", "init"), _EVOLUTION_ONLY),
    "queries": ("corner", "sparse-rs", "sigma-zero", "random"),
    "order": ("corner",),
    "space": ("exhaustive",),
}
"""The options that not every attack has."""


def refuse_foreign_options(ctx: typer.Context, attack: AttackName) -> None:
    """Raise where an option was typed that the attack has not; a user's defaults may hold it.

    Raises:
        UsageError: with the attacks that have it.
    """
    for option, attacks in BELONGS_TO.items():
        source = ctx.get_parameter_source(option)
        if attack not in attacks and source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"--{option} is no option of the attack {attack}",
                f"leave it out, or --attack {', '.join(attacks)}",
            )


def attack(
    ctx: typer.Context,
    dataset: DatasetOption,
    attack: Annotated[AttackName, typer.Option(help="How to search.")] = "differential-evolution",
    pixels: Annotated[int, typer.Option(min=1, max=64, help="How many pixels to change.")] = 1,
    model: ModelOption = "latest",
    source: SourceOption = None,
    size: SizeOption = None,
    data_dir: DataDirOption = None,
    attack_at: AttackAtOption = "input",
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
    through: Annotated[
        str | None,
        typer.Option(
            help="Attack the classifier behind this denoiser: an id, a name, or latest (the "
            "newest trained)."
        ),
    ] = None,
    population: Annotated[int, typer.Option(min=4, help="Individuals.")] = EVOLUTION.population,
    generations: Annotated[
        int, typer.Option(min=0, help="At most, after the initial population.")
    ] = EVOLUTION.generations,
    mutation: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="Mutation factor F.")
    ] = EVOLUTION.mutation,
    strategy: Annotated[
        Literal["rand1", "best1"], typer.Option(help="Children of random ones, or of the best.")
    ] = EVOLUTION.strategy,
    init: Annotated[
        Literal["su", "uniform"], typer.Option(help="Initial colours: N(128, 127), or uniform.")
    ] = EVOLUTION.init,
    queries: Annotated[
        int,
        typer.Option(min=1, help="Budget of an attempt: corner, sparse-rs, sigma-zero, random."),
    ] = DEFAULTS.queries,
    order: Annotated[
        Literal["gradient", "grid"],
        typer.Option(help="corner: rank by one gradient (white-box), or by a grid of queries."),
    ] = DEFAULTS.order,
    space: Annotated[
        Literal["all-values", "corners"] | None,
        typer.Option(
            help="exhaustive: what to cover. Default: all values in grayscale, corners in colour."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Attempts an image.")] = 1,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Candidates evaluated at a time. Default: by device.")
    ] = None,
    evaluator: Annotated[
        EvaluatorName,
        typer.Option(help="Whole images (dense), or only what a changed pixel reaches (delta)."),
    ] = DEFAULTS.evaluator,
    precision: Annotated[
        PrecisionName, typer.Option(help="Of the search; successes are judged in float32.")
    ] = DEFAULTS.precision,
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
    """Attack correctly classified test images; by default as the paper does."""
    with open_session(db, device) as session:
        from pixguard.runner import attacking
        from pixguard.runner.subject import open_subject

        refuse_both(resume, fresh_seed)
        refuse_foreign_options(ctx, attack)
        subject = open_subject(session, request(dataset, source, size, data_dir), model, attack_at)
        if per_class is None and pixels > 1:
            per_class = PAPER_PER_CLASS
            session.display.say("at most 100 images a class, as in the paper (--per-class 0: all)")
        settings = AttackSettings(
            attack=attack,
            pixels=pixels,
            per_class=per_class or None,
            limit=limit,
            target=target,
            success=success,
            repeats=repeats,
            seed=seed,
            batch=batch,
            evaluator=evaluator,
            precision=precision,
            queries=queries,
            order=order,
            space=space,
            evolution=DifferentialEvolutionSettings(
                population=population,
                generations=generations,
                mutation=mutation,
                strategy=strategy,
                init=init,
            ),
        )
        if dry_run:
            result = attacking.dry_run(
                session, subject, settings, through=through, fresh_seed=fresh_seed
            )
        else:
            result = attacking.attack(
                session,
                subject,
                settings,
                through=through,
                resume=resume,
                fresh_seed=fresh_seed,
            )
    print_result(result, json)
    exit_with_failures(result.get("failed", 0))
