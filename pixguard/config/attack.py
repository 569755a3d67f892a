"""What an attack is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from pixguard.config.settings import Settings, setting
from pixguard.errors import UsageError
from pixguard.shards import Shard

EvaluatorName = Literal["auto", "dense", "delta"]
PrecisionName = Literal["auto", "float32", "bfloat16"]

PAPER_PER_CLASS = 100
"""Images a class that the paper attacks with more than one pixel; with one it attacks all."""


def shard_setting() -> str | None:
    """Return the field that says which part of a plan is worked on; see :class:`Shard`."""
    return setting(
        None,
        "Make this part alone, such as 3/16: other machines make the others, and `pixguard db "
        "merge` joins them.",
        unit="part/parts",
        panel="Run",
    )


@dataclass(frozen=True, slots=True)
class AttackSettings(Settings):
    """One attack plan: which images are attacked, how, how often, with which seed.

    ``limit`` caps the number of images after ``per_class`` drew them. ``options`` are the attack's
    own (:mod:`pixguard.attacks.registry`), None for its defaults.
    """

    attack: str = setting(
        "differential-evolution",
        "How to search.",
        short="-a",
        registry="pixguard.attacks.registry:ATTACKS",
        panel="Attack",
    )
    pixels: int = setting(
        1,
        "How many pixels to change.",
        short="-p",
        low=1,
        high=64,
        unit="pixels",
        panel="Attack",
    )
    target: str | None = setting(
        None,
        "Targeted attack on this class (name or ordinal), or `each` in turn.",
        unit="class",
        panel="Attack",
        in_file=True,
    )
    success: Literal["label-set", "argmax"] = setting(
        "label-set", "Multi-label: what has to change for a success.", panel="Attack"
    )
    which: Literal["paper", "any", "label"] = setting(
        "paper",
        "Multi-label: images whose whole label set is right, of the paper's categories (paper) or "
        "of any; or, for each --target, all on which that label is decided rightly (label).",
        panel="Images",
    )
    per_class: int | None = setting(
        None,
        "Attack at most that many images a class, drawn with the seed; 0 for all. Default, as in "
        "the paper: all for one pixel, 100 for more.",
        low=0,
        unit="images",
        panel="Images",
    )
    limit: int | None = setting(
        None, "Attack at most that many images.", low=1, unit="images", panel="Images"
    )
    repeats: int = setting(1, "Attempts an image.", low=1, unit="attempts", panel="Images")
    seed: int = setting(0, "Seed of every random choice.", low=0, panel="Run")
    shard: str | None = shard_setting()
    batch: int | None = setting(
        None,
        "Candidates evaluated at a time. Default: by device.",
        flag="--batch-size",
        low=1,
        unit="candidates",
        panel="Run",
    )
    evaluator: EvaluatorName = setting(
        "auto",
        "Whole images (dense), only what a changed pixel reaches (delta), or the fastest (auto).",
        panel="Run",
    )
    precision: PrecisionName = setting(
        "auto", "Of the search; successes are judged in float32.", panel="Run"
    )
    options: Settings | None = None

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.shard is not None:
            Shard.parse(self.shard)

    @property
    def most_per_class(self) -> int | None:
        """How many images of a class to attack; None for all: the paper's rule where it is open."""
        if self.per_class is None and self.pixels > 1:
            return PAPER_PER_CLASS
        return self.per_class or None

    def within(self, held: Mapping[str, Any]) -> bool:
        """Say whether a stored plan, alike in all but its size, holds every attempt of this one."""
        inf = float("inf")

        def most(chosen: "AttackSettings") -> tuple[float, float, float]:
            per_class, limit = chosen.most_per_class, chosen.limit
            return (
                inf if per_class is None else per_class,
                inf if limit is None else limit,
                chosen.repeats,
            )

        sizes = {name: held[name] for name in ("per_class", "limit", "repeats")}
        return all(a >= b for a, b in zip(most(replace(self, **sizes)), most(self), strict=True))


@dataclass(frozen=True)
class WorkerSettings(Settings):
    """Who makes the attempts: this process, others of this machine, or those of a cluster."""

    panel: ClassVar[str] = "Run"

    workers: int | None = setting(
        None,
        "Share the work among processes of this machine, each with a GPU or its share of the "
        "threads.",
        low=1,
        high=256,
        unit="processes",
    )
    scheduler: str | None = setting(
        None,
        "Share the work among the workers of this Dask scheduler: tcp://HOST:8786 or tls://...",
        metavar="<address>",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers is not None and self.scheduler is not None:
            raise UsageError(
                "`workers=...` starts workers here, and `scheduler=...` takes those of a cluster",
                "one of the two",
            )
