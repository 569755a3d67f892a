"""The groups of options that commands share, beside those of :mod:`pixguard.config`."""

from dataclasses import dataclass
from typing import ClassVar

from pixguard.config import AttackAt
from pixguard.config.settings import Settings, setting
from pixguard.errors import UsageError

DEFAULT_DATABASE = "pixguard.db"


@dataclass(frozen=True)
class ClassifierOptions(Settings):
    """Which classifier, and where its images are changed."""

    panel: ClassVar[str] = "Classifier"

    model: str = setting(
        "latest",
        "Classifier: an id, a name, an architecture, or latest (the newest).",
        short="-m",
        names="classifier",
    )
    attack_at: AttackAt = setting(
        "input",
        "Where pixels are changed: in the image that the classifier takes (input), or in the "
        "original, before the resize (native).",
    )


@dataclass(frozen=True)
class DeviceOptions(Settings):
    """Where to compute."""

    panel: ClassVar[str] = "Run"

    device: str = setting(
        "auto", "auto, cpu, cuda, cuda:1, ...; for an attack also several: cuda:0,1", in_file=True
    )


@dataclass(frozen=True)
class LongOptions(DeviceOptions):
    """How to do what takes long."""

    detach: bool = setting(
        False,
        "Go on without this terminal: return once it is at work, and say where its log is. See "
        "pixguard status and pixguard stop.",
        in_file=False,
    )


@dataclass(frozen=True)
class RunOptions(LongOptions):
    """How to go on."""

    resume: bool = setting(False, "Go on with what is missing; say how much was found.", short="-r")
    fresh_seed: bool = setting(False, "Take the next seed that was not used yet.")

    def __post_init__(self) -> None:
        if self.resume and self.fresh_seed:
            raise UsageError(
                "--resume goes on with a seed and --fresh-seed takes another one",
                "one of the two; --seed N --resume goes on with a given seed",
            )


@dataclass(frozen=True, slots=True)
class NameOptions(Settings):
    """What a trained classifier is called."""

    panel: ClassVar[str] = "Classifier"

    name: str | None = setting(
        None, "What --model may call it, beside its id and its architecture; one has it at a time."
    )


@dataclass(frozen=True)
class DatabaseOptions(Settings):
    """Where results are kept."""

    panel: ClassVar[str] = "Output"

    database: str = setting(
        DEFAULT_DATABASE,
        "SQLite file (or URL) that holds the results.",
        flag="--db",
        envvar="PIXGUARD_DB",
    )


@dataclass(frozen=True)
class JsonOptions(Settings):
    """How results are shown."""

    panel: ClassVar[str] = "Output"

    json: bool = setting(False, "Print the result as JSON.")


@dataclass(frozen=True)
class OutputOptions(JsonOptions, DatabaseOptions):
    """Where results are kept, and how they are shown."""
