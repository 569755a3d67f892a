"""Which detectors there are, and their options; light to import.

A new detector is a file and an entry here. Its network is built as ``target(channels,
**parameters)`` and maps images (N, C, H, W) in [0, 1] to scores float64 (N,): the higher, the
further an image is from what it knows; above 0 it raises an alarm. Its trainer makes one of the
images of one class, or of all where classes are nothing to it
(:class:`pixguard.defences.detectors.training.Trainer`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from pixguard.config.settings import SettingError, Settings, setting
from pixguard.registry import Entry, Registry


@dataclass(frozen=True, slots=True)
class DetectorEntry(Entry):
    """A detector by name; its target builds the network.

    Attributes:
        trainer: ``"module:function"``.
        of_class: whether it knows one class; else it knows the images of all, unless told a class.
        of_classifier: whether it asks a classifier, which its option ``classifier`` names. Trainer
            and target take it as the keyword ``classifier``; parameters and identity hold the
            SHA-256 by which its weights are registered.
    """

    trainer: str = ""
    of_class: bool = True
    of_classifier: bool = False


DETECTORS: Registry[DetectorEntry] = Registry("detector")


def _false_alarms() -> float:
    """Declare the share that several detectors take their threshold at."""
    return setting(
        0.01,
        "Share of clean validation images that may raise an alarm.",
        low=0.0,
        high=0.5,
    )


@DETECTORS.with_options(
    DetectorEntry(
        "one-class-svm",
        "pixguard.defences.detectors.one_class_svm:OneClassSVMDetector",
        "Autoencoder and one-class SVM (paper, section 5).",
        trainer="pixguard.defences.detectors.one_class_svm:train",
    )
)
@dataclass(frozen=True, slots=True)
class OneClassSVMOptions(Settings):
    """How tightly the class is enclosed."""

    nu: float = setting(
        0.05,
        "Share of the images that it is fitted to that may raise an alarm, in (0, 1); of new "
        "images more do.",
    )

    def __post_init__(self) -> None:
        if not 0 < self.nu < 1:
            raise SettingError(
                f"nu is {self.nu:g}, and must be a share between 0 and 1, neither included",
                "`nu=0.05` lets one normal image in twenty raise an alarm",
            )


@DETECTORS.with_options(
    DetectorEntry(
        "repair",
        "pixguard.defences.detectors.repair:RepairDetector",
        "A pixel that stands out from its surroundings (ours).",
        trainer="pixguard.defences.detectors.repair:train",
        of_class=False,
    )
)
@dataclass(frozen=True, slots=True)
class RepairOptions(Settings):
    """What a pixel is measured by, and when it raises an alarm."""

    scorer: Literal["repair", "repair-blind"] = setting(
        "repair",
        "Order statistics of its neighbours (repair), or a trained predictor (repair-blind).",
    )
    false_alarms: float = _false_alarms()


@DETECTORS.with_options(
    DetectorEntry(
        "vae",
        "pixguard.defences.detectors.vae:VAEDetector",
        "A pixel that a variational autoencoder does not give back (Alatalo et al. 2022).",
        trainer="pixguard.defences.detectors.vae:train",
        of_class=False,
    )
)
@dataclass(frozen=True, slots=True)
class VAEOptions(Settings):
    """When it raises an alarm."""

    false_alarms: float = _false_alarms()


@DETECTORS.with_options(
    DetectorEntry(
        "trigger",
        "pixguard.defences.detectors.trigger:TriggerDetector",
        "A pixel whose repair shakes the classifier's confidence (Wang et al. 2021).",
        trainer="pixguard.defences.detectors.trigger:train",
        of_class=False,
        of_classifier=True,
    )
)
@dataclass(frozen=True, slots=True)
class TriggerOptions(Settings):
    """Which classifier is asked, and when it raises an alarm."""

    classifier: str = setting(
        "latest",
        "The classifier that is asked: an id, a name, an architecture, or latest (the newest).",
        names="classifier",
    )
    false_alarms: float = _false_alarms()


def options_text(name: str, hyperparameters: Mapping[str, Any]) -> str:
    """Return a stored detector's own options in a few words, each after a comma."""
    options = DETECTORS[name].options if name in DETECTORS else None
    own = {o.name: hyperparameters[o.name] for o in fields(options)} if options else {}
    return "".join(f", {option} {_short(value)}" for option, value in own.items())


def _short(value: Any) -> str:
    """Return a number, a word, or the beginning of a SHA-256, as reports show them."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)[:8] if len(str(value)) == 64 else str(value)
