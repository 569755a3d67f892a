"""The options of ``pixguard report``: which reports, of which results, and where they go."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import typer

from pixguard.cli.data_dirs import DATA_DIRS_HELP
from pixguard.cli.groups import OutputOptions
from pixguard.cli.speech import say
from pixguard.config.data import parse_size
from pixguard.config.settings import Settings, setting
from pixguard.errors import UsageError
from pixguard.files import write_atomically
from pixguard.reports.formats import ENDINGS, Format
from pixguard.words import shell_word

if TYPE_CHECKING:
    from pixguard.reports.report_table import ReportTable


@dataclass(frozen=True, slots=True)
class WhichReports(Settings):
    """What is reported."""

    panel: ClassVar[str] = "Reports"

    table: list[str] | None = setting(
        None,
        "Number of a table of the paper, or a name that --list tells; repeat, or join by commas: "
        "32,33,truth.",
        short="-t",
        names="table",
    )
    figure: list[str] | None = setting(
        None,
        "Number of a figure of the paper, or a name that --list tells; repeat, or join by commas: "
        "16,success. Writes figure-N.png, or see --out.",
        short="-f",
        names="figure",
    )
    list_tables: bool = setting(
        False,
        "List the tables and figures, and for which there is data; with --dataset, of that one.",
        flag="--list",
    )
    everything: bool = setting(
        False, "Every table, those without data last and in short.", flag="--all"
    )
    compare: tuple[str, str] | None = setting(
        None,
        "Compare two plans or models, image by image: 3 7, plan:3 plan:7 (of pixguard status), "
        "run:12 run:15 (their plans) or model:1 model:4.",
        metavar="<first second>",
    )
    audit: bool = setting(False, "What contradicts itself in the published tables.")
    html: Path | None = setting(
        None, "Write a page with all tables, figures and a gallery to this folder."
    )

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        for what, asked in (("table", self.table), ("figure", self.figure)):
            if asked and not listed_names(asked):
                raise UsageError(
                    f"--{what} {shell_word(asked[0])} names none", "pixguard report --list"
                )


@dataclass(frozen=True, slots=True)
class OfWhat(Settings):
    """Of which of the database's results."""

    panel: ClassVar[str] = "Data"

    dataset: str | None = setting(
        None, "Show this dataset in place of the paper's.", short="-d", names="dataset"
    )
    model: str = setting(
        "latest",
        "Classifier: an id, a name, an architecture, or latest (the newest). Several, as "
        "1,4,7, make blocks of one table.",
        short="-m",
        names="classifier",
    )
    size: int | None = setting(
        None,
        "Side of the images, or native: each as large as its file. Default: that of the "
        "classifier.",
        parser=parse_size,
        metavar="<pixels>|native",
    )
    data_dir: list[str] | None = setting(None, DATA_DIRS_HELP, in_file=True)
    gallery: int = setting(
        10_000, "With --html: attempts in the gallery at most.", low=0, unit="attempts"
    )
    costs: Path | None = setting(
        None,
        "With --table severity: what a flip costs, a CSV file of label,direction,cost with the "
        "direction missed or false, and * for any other label. Default: 1.",
        in_file=True,
    )
    count: int = setting(4, "Rows of a panel of images.", low=1, high=50, unit="rows")
    image: int | None = setting(
        None,
        "Index of the image for --figure vulnerability. Default: the first right.",
        low=0,
    )

    def chosen_models(self, database: str) -> list[int | str | None]:
        """Return the classifiers' ids or architectures; None for the newest, an id for a name."""
        from pixguard.store import reader
        from pixguard.store.engine import is_there, reading

        asked = [None if n == "latest" else n for n in listed_names([self.model])] or [None]
        if not any(isinstance(name, str) for name in asked) or not is_there(database):
            return [*asked]
        with reading(database) as engine:
            models = reader.models(engine, kind="classifier")
        ids: dict[int | str | None, int] = {
            m.record.name: m.id
            for m in models
            if m.record.name not in (None, m.record.architecture)
        }
        return [ids.get(name, name) for name in asked]

    def chosen_model(self, database: str) -> int | str | None:
        """Return the one classifier of a figure or a page.

        Raises:
            UsageError: several were named.
        """
        models = self.chosen_models(database)
        if len(models) > 1:
            raise UsageError(
                "figures and the page are about one classifier",
                f"--model {models[0]}; --table takes several",
            )
        return models[0]


@dataclass(frozen=True)
class FormatOptions(OutputOptions):
    """How tables are shown, and where they go."""

    format: Format | None = setting(
        None, "Output format. Default: what the ending of --out says; without one, table."
    )
    out: Path | None = setting(None, "Write to this file instead of stdout.", short="-o")

    @property
    def chosen_format(self) -> Format:
        """What is said, else what the name of the file says.

        Raises:
            UsageError: its ending says nothing that is known.
        """
        if self.json:
            return "json"
        if self.format or self.out is None or not self.out.suffix:
            return self.format or "table"
        endings: dict[str, Format] = {f".{ending}": name for name, ending in ENDINGS.items()}
        if self.out.suffix.lower() not in endings:
            raise UsageError(
                f"no table can be written as {self.out.suffix!r}",
                f"--out with a name that ends in {', '.join(endings)}; or say which by --format",
            )
        return endings[self.out.suffix.lower()]

    def rendered(self, tables: "Sequence[ReportTable]") -> str:
        """Return tables as text; those for a terminal are as wide as it is."""
        from pixguard.reports.render import render

        is_dumb = os.environ.get("TERM") == "dumb"
        to_terminal = self.out is None and sys.stdout.isatty() and not is_dumb
        return render(
            tables,
            self.chosen_format,
            width=shutil.get_terminal_size().columns if to_terminal else 80,
            color=to_terminal and "NO_COLOR" not in os.environ,
        )

    def put(self, text: str) -> None:
        """Print a text, or write it to the file."""
        if self.out is None:
            typer.echo(text, nl=False)
            return
        write_atomically(self.out, text.encode())
        say(f"wrote {self.out}")


@dataclass(frozen=True)
class ReportOutput(FormatOptions):
    """How reports are shown, and where they go."""

    paper: bool = setting(False, "Put the published values beside the measured ones.")
    sql: bool = setting(False, "Print the queries instead, ready for any SQL client.")
    out: Path | None = setting(
        None,
        "Write to this file instead of stdout; with --all, to a file for each table in this "
        "folder where the name has no ending. Figures: FILE.png, FILE.svg, FILE.pdf, or a folder "
        "for all three.",
        short="-o",
    )


def listed_names(asked: list[str]) -> list[int | str]:
    """Return numbers and names from ``["32,33", "truth"]``, each once, in the order asked for."""
    words = [word.strip() for text in asked for word in text.split(",") if word.strip()]
    return list(dict.fromkeys(int(word) if word.isdecimal() else word for word in words))
