"""``pixguard run``: a whole experiment, step by step, as far as it is not done."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import typer

from pixguard.cli.common import print_json
from pixguard.cli.experiments.expanding import Expansion, Place
from pixguard.cli.experiments.file import read_experiment
from pixguard.cli.experiments.listing import listing, print_listing, script
from pixguard.cli.experiments.words import Commands
from pixguard.cli.groups import LongOptions, OutputOptions
from pixguard.cli.options import command
from pixguard.config.settings import Settings, required, setting
from pixguard.words import command_line, printable


@dataclass(frozen=True, slots=True)
class WhichExperiment(Settings):
    """What is run, and how."""

    panel: ClassVar[str] = "Experiment"

    experiment: str = required("smoke, desk, paper, or FILE.toml.", argument=True)
    data_dir: Path | None = setting(
        None,
        "Folder that holds the files which the experiment names. Default: PIXGUARD_DATA.",
        in_file=True,
    )
    out: Path | None = setting(
        None, "Folder for tables, figures and the page. Default: EXPERIMENT-report.", short="-o"
    )
    commands: bool = setting(False, "Print the steps as a shell script, and run nothing.")
    dry_run: bool = setting(False, "List the steps, what is done and what is left; run nothing.")


@command
def run(
    ctx: typer.Context, which: WhichExperiment, machine: LongOptions, output: OutputOptions
) -> None:
    """Carry out an experiment: datasets, classifiers, attacks, defences, tables; go on with it."""
    experiment = read_experiment(which.experiment)
    out = which.out or Path(f"{experiment.name}-report")
    device = None if machine.device == "auto" else machine.device
    place = Place(output.database, which.data_dir or _data_folder(), out, device)
    steps = Expansion(Commands(ctx), place).of(experiment)
    if which.commands:
        typer.echo(script(experiment, steps))
        return
    from pixguard.cli.experiments.looking import Look

    look = Look(output.database, experiment.file_s)
    if which.dry_run:
        listed = listing(steps, look)
        if output.json:
            print_json({"experiment": experiment.name, "title": experiment.title, "steps": listed})
            return
        print_listing(experiment, listed)
        return
    from pixguard.cli.experiments.carrying import carry_out, exit_code, summary
    from pixguard.store.presence import Presence

    again = command_line(["pixguard", *sys.argv[1:]])
    outcomes = carry_out(steps, look, Presence(output.database, again))
    if output.json:
        print_json({"experiment": experiment.name, "steps": [o.told() for o in outcomes]})
    else:
        typer.echo(printable("\n".join(summary(outcomes, again))))
    if code := exit_code(outcomes):
        raise typer.Exit(code)


def _data_folder() -> Path | None:
    named = os.environ.get("PIXGUARD_DATA")
    return Path(named) if named else None
