"""How classifiers, denoisers and detectors are trained.

The fields are also what identifies a training: the same values give the same checkpoint, and
find the same finished model. Renaming one, or adding one, orphans both; options of one method
belong into its registry, where they touch its own trainings only.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pixguard.config.settings import SettingError, Settings, setting
from pixguard.files import sha256_of

TORCHVISION = "torchvision"
"""The ``pretrained`` weights that torchvision itself downloads."""

LossName = Literal["ce", "bce", "focal"]
BalanceName = Literal["none", "sampler", "weights"]
SearchName = Literal["random", "corner", "differential-evolution", "spgd"]


@dataclass(frozen=True, slots=True)
class TrainSettings(Settings):
    """Training of a classifier; the defaults are the paper's (section 4.1.2)."""

    panel: ClassVar[str] = "Training"

    architecture: str = setting(
        "resnet50",
        "resnet50, densenet121, small-cnn, a torchvision name or timm/NAME.",
        flag="--model",
        short="-m",
        in_file=True,
    )
    epochs: int = setting(100, "At most.", low=1, unit="epochs")
    batch_size: int = setting(64, "Images of a step.", low=2, unit="images")
    learning_rate: float = setting(0.001, "Of stochastic gradient descent.", low=1e-9)
    momentum: float = setting(0.9, "Of stochastic gradient descent.", low=0.0)
    stop_train_accuracy: float = setting(0.95, "Stop above this training accuracy and ...")
    stop_val_accuracy: float = setting(0.90, "... above this validation accuracy.")
    paper_early_stop: bool = setting(
        False, "Judge the second on test data, as the paper did (it leaks)."
    )
    loss: LossName | None = setting(
        None, "Default: ce for one class an image, bce for several labels."
    )
    balance: BalanceName = setting(
        "none", "Draw rare classes as often as others, or weight the loss."
    )
    augment: bool = setting(False, "Flip, turn and shift training images a little.")
    adversarial: int = setting(
        0, "Change that many pixels in half of each batch.", low=0, unit="pixels"
    )
    adversarial_search: SearchName = setting(
        "random", "How they are found: drawn, or by an attack of 20 to 40 candidates an image."
    )
    pretrained: str | None = setting(
        None,
        "Begin with these weights, all but the last layer: torchvision (its own, downloaded), or a "
        "file of one of its networks (.pth or .safetensors).",
        metavar="torchvision|<file>",
        in_file=True,
    )
    limit: int | None = setting(
        None, "Train on at most that many images (recorded).", low=2, unit="images"
    )
    seed: int = setting(0, "Seed of every random choice.", low=0, panel="Run")

    def identity(self) -> dict[str, Any]:
        """Return what identifies the training: a file of weights stands for its content.

        Raises:
            PixguardError: the file of ``pretrained`` cannot be read.
        """
        # It was a switch once: whether the weights were torchvision's.
        given: bool | str = self.pretrained == TORCHVISION
        if self.pretrained and not given:
            given = f"sha256:{sha256_of(Path(self.pretrained))}"
        values = {**asdict(self), "pretrained": given}
        if self.adversarial_search == "random":  # databases hold trainings that knew no other
            del values["adversarial_search"]
        return values


@dataclass(frozen=True, slots=True)
class VoteSettings(TrainSettings):
    """Training of a certified classifier.

    ``architecture`` is that of the network which votes; of a polyphase vote ``batch_size`` counts
    sub-images, ``limit`` whole images.
    """

    architecture: str = setting(
        "small-cnn",
        "The voter: small-cnn, resnet50, a torchvision name or timm/NAME.",
        flag="--model",
        short="-m",
        in_file=True,
    )
    stride: int = setting(
        3, "Take every n-th pixel: its square is the number of votes.", unit="pixels"
    )
    certificate: Literal["polyphase-vote", "randomised-ablation"] = setting(
        "polyphase-vote", "Which; the others go around a classifier that is there."
    )
    keep: int = setting(
        45,
        "Of randomised-ablation: how many pixels an ablation shows; 45 is the source's for 784.",
        low=1,
        unit="pixels",
    )

    def identity(self) -> dict[str, Any]:
        """Return what identifies the training: of a certificate, its own settings alone."""
        found = TrainSettings.identity(self)
        others = {"polyphase-vote": ("certificate", "keep"), "randomised-ablation": ("stride",)}
        return {k: v for k, v in found.items() if k not in others[self.certificate]}

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        alien, default = ("keep", 45) if self.certificate == "polyphase-vote" else ("stride", 3)
        if getattr(self, alien) != default:
            raise SettingError(
                f"{alien} is no option of the certificate {self.certificate}", "leave it out"
            )


@dataclass(frozen=True, slots=True)
class DenoiserSettings(Settings):
    """Training of a denoiser; the defaults are the paper's (section 3.1.2) or marked inferred.

    ``learning_rate`` is inferred for all but the median-layer CNN. Noise is random-valued impulse
    noise, or another kind of :mod:`pixguard.defences.noise`. ``options`` are the denoiser's own
    (:mod:`pixguard.defences.denoisers.registry`), None for its defaults.
    """

    panel: ClassVar[str] = "Training"

    name: str = setting(
        "dae",
        "Which denoiser.",
        flag="--model",
        short="-m",
        registry="pixguard.defences.denoisers.registry:DENOISERS",
    )
    epochs: int = setting(100, "At most.", low=1, unit="epochs")
    batch_size: int = setting(16, "Images of a step.", low=1, unit="images")
    learning_rate: float = setting(0.001, "Of Adam.", low=1e-9)
    noise: float = setting(
        0.10,
        "Level of the noise: share of pixels (impulse, salt-and-pepper), standard deviation for a "
        "data range of 1 (gaussian; poisson: at full intensity), or number of pixels (k-pixel).",
        low=0.0,
    )
    noise_kind: str = setting(
        "impulse", "impulse, salt-and-pepper, gaussian, poisson or k-pixel.", in_file=True
    )
    patience: int | None = setting(
        None, "Stop after that many epochs without a better validation loss.", low=1, unit="epochs"
    )
    only_class: str | None = setting(
        None, "Train on the images of one class, by name.", in_file=True
    )
    limit: int | None = setting(None, "Train on at most that many images.", low=1, unit="images")
    seed: int = setting(0, "Seed of every random choice.", low=0, panel="Run")
    options: Settings | None = None

    def identity(self) -> dict[str, Any]:
        """Return what identifies the training: every setting, the denoiser's own among them."""
        # Databases and checkpoints hold a variant of every denoiser.
        return {"variant": None, **_flat(self)}


@dataclass(frozen=True, slots=True)
class DetectorSettings(Settings):
    """Training of a detector on one class (paper, section 5, which states no value).

    ``normal`` None is no finding, or the class with most training images; for a detector to which
    classes are nothing, any class. ``all`` is each class in turn. ``options`` are the detector's
    own (:mod:`pixguard.defences.detectors.registry`), None for its defaults.
    """

    panel: ClassVar[str] = "Training"

    normal: str | None = setting(
        None,
        "The class to be known, or all: each in turn. Default: no finding, or the class with most "
        "training images; for repair, vae and trigger, any class.",
        unit="class",
        in_file=True,
    )
    name: str = setting(
        "one-class-svm",
        "Which detector.",
        flag="--model",
        short="-m",
        registry="pixguard.defences.detectors.registry:DETECTORS",
    )
    epochs: int = setting(100, "Of its network, at most.", low=1, unit="epochs")
    limit: int | None = setting(
        None, "Train on at most that many images of the class.", low=1, unit="images"
    )
    seed: int = setting(0, "Seed of every random choice.", low=0, panel="Run")
    options: Settings | None = None

    def identity(self) -> dict[str, Any]:
        """Return what identifies the training: every setting, the detector's own among them."""
        return _flat(self)


def _flat(settings: DenoiserSettings | DetectorSettings) -> dict[str, Any]:
    values = asdict(settings)
    own = values.pop("options") or {}
    return {**values, **own}
