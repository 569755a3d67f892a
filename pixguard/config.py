"""What a run is asked to do, as frozen values; and the file that may hold a user's defaults.

Precedence, lowest first: the defaults below, ``pixguard.toml`` in the working folder (or
``PIXGUARD_CONFIG``), environment variables ``PIXGUARD_<COMMAND>_<OPTION>``, flags. The command
line resolves it and hands these objects on; nothing below reads the environment.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pixguard.errors import UsageError
from pixguard.records import SplitScheme

Source = Literal["auto", "medmnist", "originals", "folder", "phantom"]
AttackAt = Literal["input", "native"]
EvaluatorName = Literal["auto", "dense", "delta"]
PrecisionName = Literal["auto", "float32", "bfloat16"]
LossName = Literal["ce", "bce", "focal"]
BalanceName = Literal["none", "sampler", "weights"]


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    """Which images.

    ``size`` is the side in pixels, or :data:`pixguard.records.NATIVE_SIZE` for each image's own;
    ``phantom_images`` is the number of phantoms.
    """

    name: str
    source: Source = "auto"
    size: int = 28
    data_dir: Path | None = None
    split: SplitScheme = "paper"
    split_seed: int = 0
    phantom_images: int = 2000
    skip_bad: bool = False


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Training of a classifier; the defaults are the paper's (section 4.1.2).

    Training stops when training accuracy exceeds ``stop_train_accuracy`` and validation accuracy
    exceeds ``stop_val_accuracy``; ``paper_early_stop`` judges the second on test data, as the
    paper did, which leaks. ``limit`` caps the training images (for quick runs; recorded).

    Beyond the paper: ``loss`` is by default ``ce`` for one class an image and ``bce`` for several
    labels. ``balance`` draws rare classes as often as common ones, or weights the loss. ``augment``
    moves training images about; ``adversarial`` changes so many random pixels in half of each
    batch; ``pretrained`` begins with torchvision's weights.
    """

    architecture: str = "resnet50"
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 0.001
    momentum: float = 0.9
    stop_train_accuracy: float = 0.95
    stop_val_accuracy: float = 0.90
    paper_early_stop: bool = False
    loss: LossName | None = None
    balance: BalanceName = "none"
    augment: bool = False
    adversarial: int = 0
    pretrained: bool = False
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class VoteSettings(TrainSettings):
    """Training of a polyphase vote; ``architecture`` is the voter's.

    ``stride``: every how many pixels one is taken; its square is the number of votes.
    ``batch_size`` counts sub-images, ``limit`` whole images.
    """

    architecture: str = "small-cnn"
    stride: int = 3


@dataclass(frozen=True, slots=True)
class DenoiserSettings:
    """Training of a denoiser; the defaults are the paper's (section 3.1.2) or marked inferred.

    Noise is random-valued impulse noise that replaces a pixel (all channels together) with
    probability ``noise``, or another kind of :mod:`pixguard.defences.noise`, where ``noise`` is
    its level. ``learning_rate`` is inferred for all but the median-layer CNN.
    ``variant`` names a configuration of the DAE (Tables 4 and 5), None its proposed one;
    ``only_class`` trains on the images of one class, by name. ``patience`` stops training after
    so many epochs without a better validation loss; None never does.
    """

    name: str
    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 0.001
    noise: float = 0.10
    noise_kind: str = "impulse"
    patience: int | None = None
    variant: str | None = None
    only_class: str | None = None
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Training of a detector on one class (paper, section 5, which states no value).

    ``normal`` names the class; ``nu`` is the share of its images that may raise an alarm; the
    rest trains the autoencoder, as :class:`DenoiserSettings` does.
    """

    normal: str
    name: str = "one-class-svm"
    nu: float = 0.05
    epochs: int = 100
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DifferentialEvolutionSettings:
    """Differential evolution; the defaults are the paper's (section 4.1.2; Su et al. 2019)."""

    population: int = 100
    generations: int = 100
    mutation: float = 0.5
    strategy: Literal["rand1", "best1"] = "rand1"
    init: Literal["su", "uniform"] = "su"


@dataclass(frozen=True, slots=True)
class AttackSettings:
    """One attack plan: which images are attacked, how, how often, with which seed.

    ``per_class`` draws that many correctly classified images a class, with ``seed``; ``limit``
    caps the number of images after that. ``target`` is a class name or ordinal, ``"each"`` for
    every other class in turn, or None for a non-targeted attack. ``success`` applies to
    multi-label classifiers. ``queries`` is the budget of an attempt where the attack itself does
    not set it (differential evolution and exhaustive search do), ``order`` how a corner search
    ranks its candidates, ``space`` what an exhaustive search covers (None: all values of one
    pixel in grayscale, corners and their refinement in colour).
    """

    attack: str = "differential-evolution"
    pixels: int = 1
    per_class: int | None = None
    limit: int | None = None
    target: str | None = None
    success: Literal["label-set", "argmax"] = "label-set"
    repeats: int = 1
    seed: int = 0
    batch: int | None = None
    evaluator: EvaluatorName = "auto"
    precision: PrecisionName = "auto"
    queries: int = 10_100
    order: Literal["gradient", "grid"] = "gradient"
    space: Literal["all-values", "corners"] | None = None
    evolution: DifferentialEvolutionSettings = DifferentialEvolutionSettings()


def load_defaults(path: Path) -> dict[str, Any]:
    """Return a user's defaults by command, ``{"attack": {"pixels": 2}}``; empty without a file.

    Raises:
        UsageError: the file is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", f"mend or remove {path}") from error
