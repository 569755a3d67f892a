"""``pixguard demo``: the main job from end to end, on phantoms, in a few minutes."""

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from pixguard.cli.options import command
from pixguard.cli.speech import speech
from pixguard.config.settings import Settings, setting
from pixguard.progress import human_duration
from pixguard.words import printable, shell_word

COMMANDS = (
    "train --dataset oct --source phantom --size 28 --model small-cnn --epochs 8 "
    "--learning-rate 0.02 --batch-size 32 --resume",
    "attack --dataset oct --pixels 1 --per-class 8 --resume",
    "attack --dataset oct --pixels 2 --per-class 8 --resume",
    "denoise train --dataset oct --model autoencoder --epochs 10 --resume",
    "denoise train --dataset oct --model dae --epochs 2 --limit 600 --resume",
    "denoise apply --dataset oct",
    "score --dataset oct",
    "report --table 24,25,26,27",
)


@dataclass(frozen=True, slots=True)
class DemoOptions(Settings):
    """Where the demo works."""

    folder: Path = setting(
        Path("pixguard-demo"), "Folder for the database, the weights and the panel."
    )


@command
def demo(ctx: typer.Context, options: DemoOptions) -> None:
    """Train, attack, denoise, score and report on synthetic OCT images, with real commands."""
    started, folder = time.monotonic(), options.folder
    root = ctx.find_root().command
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "demo.db"
    panel = folder / "panel.png"
    draw = ["report", "--figure", "15", "--dataset", "oct", "--out", str(panel)]
    said = speech().flags
    for words in (*map(shlex.split, COMMANDS), draw):
        arguments = [*words, "--db", str(database), *said]
        if not speech().quiet:
            typer.secho(f"\n$ pixguard {' '.join(map(shell_word, arguments))}", bold=True, err=True)
        _run(root, arguments)
    typer.echo(f"\nfinished in {human_duration(time.monotonic() - started)}")
    typer.echo("These are synthetic images and a small network: they show the tool, no more.")
    typer.echo(f"  database  {printable(str(database.resolve()))}  (any SQL tool reads it)")
    typer.echo(f"  panel     {printable(str(panel.resolve()))}  (clean, attacked, restored)")
    typer.echo(f"  again     pixguard report --table 26 --db {shell_word(database)}")


def _run(root: Any, arguments: list[str]) -> None:
    """Run one command in this process, as if it had been typed."""
    typed = sys.argv
    sys.argv = ["pixguard", *arguments]  # what a run records as its command
    try:
        root(arguments)
    except SystemExit as ended:
        if ended.code:
            raise typer.Exit(int(ended.code)) from None
    finally:
        sys.argv = typed
