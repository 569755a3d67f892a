"""Which denoisers there are; light to import.

A new denoiser is a file with its network and a line here. A network is built as
``target(channels, **parameters)`` and maps images (N, C, H, W) in [0, 1] to restored ones, at any
height and width from 8 pixels; the parameters are what its options come to. One that is trained
names its recipe: by default noisy images to clean ones
(:class:`pixguard.defences.training.Recipe`).
"""

from dataclasses import dataclass, fields
from typing import Any

from pixguard.config.settings import Settings, setting
from pixguard.defences.denoisers.variants import variant_parameters
from pixguard.registry import Entry, Registry

TO_CLEAN = "pixguard.defences.training:Recipe"


@dataclass(frozen=True, slots=True)
class DenoiserEntry(Entry):
    """A denoiser by name; its target builds the network.

    Attributes:
        recipe: ``"module:class"`` of how it is trained; empty where there is nothing to train.
        changes_nothing: whether what comes out is what went in.
        by_name_alone: whether it restores only where it is named: it takes too long for a default.
        reads: ``"module:function"`` that maps the tensors of a file and the images' channels to the
            builder's arguments, where weights come from elsewhere; they go into ``network``.
    """

    recipe: str = ""
    changes_nothing: bool = False
    by_name_alone: bool = False
    reads: str = ""

    @property
    def trained(self) -> bool:
        """Whether it has to be trained before it restores anything."""
        return bool(self.recipe)


@dataclass(frozen=True, slots=True)
class DenoiserOptions(Settings):
    """Base of a denoiser's own options: arguments of its builder, by default."""

    def parameters(self) -> dict[str, Any]:
        """Return the builder's arguments beyond ``channels``; none where all are the defaults.

        A denoiser without any goes by its name, others by their id.
        """
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {f.name: values[f.name] for f in fields(self) if values[f.name] != f.default}


@dataclass(frozen=True, slots=True)
class DAEOptions(DenoiserOptions):
    """Which configuration."""

    variant: str | None = setting(None, "By its name in Tables 4 and 5: depth-3, ...", in_file=True)

    def __post_init__(self) -> None:
        variant_parameters(self.variant)  # raises where there is none

    def parameters(self) -> dict[str, Any]:
        """Return what makes the variant."""
        return variant_parameters(self.variant)


@dataclass(frozen=True, slots=True)
class RepairBlindOptions(DenoiserOptions):
    """What is replaced."""

    most: int = setting(4, "Replace at most that many.", low=1, high=64, unit="pixels")
    gap: float = setting(
        1.5,
        "Replace only what stands out that many times as much as the next pixel of the image; 1 "
        "replaces in every image.",
        low=1.0,
    )
    false_alarms: float = setting(
        0.0,
        "Replace only what stands out more than all pixels of clean validation images do, but for "
        "this share of them; 0: no such threshold.",
        low=0.0,
        high=0.5,
    )

    def parameters(self) -> dict[str, Any]:
        """Return what differs from the defaults; the threshold is known after the training."""
        values = DenoiserOptions.parameters(self)
        values.pop("false_alarms", None)
        return values


DENOISERS = Registry(
    "denoiser",
    [
        DenoiserEntry(
            "identity",
            "pixguard.defences.denoisers.identity:Identity",
            "Leaves the image alone: what every denoiser has to be compared with.",
            changes_nothing=True,
        ),
        DenoiserEntry(
            "median", "pixguard.defences.denoisers.median:Median", "The 3 x 3 median filter."
        ),
        DenoiserEntry(
            "adaptive-median",
            "pixguard.defences.denoisers.adaptive_median:AdaptiveMedian",
            "Medians in place of extremes, of a window that grows (Hwang and Haddad 1995).",
        ),
        DenoiserEntry(
            "rpca",
            "pixguard.defences.denoisers.rpca:RobustPCA",
            "Keeps what of each channel is of low rank (Husnoo and Anwar 2021).",
            by_name_alone=True,
        ),
        DenoiserEntry(
            "repair",
            "pixguard.defences.denoisers.repair:Repair",
            "Replaces only the few pixels that stand out, by their neighbours' median (ours).",
        ),
        DenoiserEntry(
            "repair-blind",
            "pixguard.defences.denoisers.repair_blind:RepairBlind",
            "Repair by a network that predicts a pixel from its surroundings (ours).",
            options=RepairBlindOptions,
            recipe="pixguard.defences.denoisers.repair_blind:BlindSpotRecipe",
        ),
        DenoiserEntry(
            "autoencoder",
            "pixguard.defences.denoisers.autoencoder:autoencoder",
            "The shallow autoencoder of Senapati et al. (paper, Tables 1 and 2).",
            recipe=TO_CLEAN,
        ),
        DenoiserEntry(
            "dae",
            "pixguard.defences.denoisers.dae:DenoisingAutoencoder",
            "The paper's denoising autoencoder (section 3.1.2).",
            options=DAEOptions,
            recipe=TO_CLEAN,
        ),
        DenoiserEntry(
            "noise2noise",
            "pixguard.defences.denoisers.noise2noise:Noise2Noise",
            "SRResNet that never sees a clean image (Lehtinen et al. 2018).",
            recipe="pixguard.defences.denoisers.noise2noise:Noise2NoiseRecipe",
        ),
        DenoiserEntry(
            "noise2void",
            "pixguard.defences.denoisers.noise2void:Noise2Void",
            "A U-Net that tells a hidden pixel from its surroundings (Krull et al. 2019).",
            recipe="pixguard.defences.denoisers.noise2void:Noise2VoidRecipe",
        ),
        DenoiserEntry(
            "r2unet",
            "pixguard.defences.denoisers.r2unet:R2UNet",
            "A recurrent residual U-Net (Nasrin et al. 2019).",
            recipe=TO_CLEAN,
        ),
        DenoiserEntry(
            "median-cnn",
            "pixguard.defences.denoisers.median_cnn:MedianCNN",
            "Convolutions and median layers (Liang et al. 2021).",
            recipe="pixguard.defences.denoisers.median_cnn:MedianCNNRecipe",
        ),
        DenoiserEntry(
            "scunet",
            "pixguard.defences.denoisers.scunet:SCUNet",
            "A Swin transformer and convolutions, trained elsewhere (Zhang et al. 2023).",
            reads="pixguard.defences.denoisers.scunet:parameters_of",
        ),
    ],
)
"""In the order of tables and panels."""

UNTRAINED: tuple[str, ...] = tuple(e.name for e in DENOISERS if not e.trained and not e.reads)
ALWAYS: tuple[str, ...] = tuple(n for n in UNTRAINED if not DENOISERS[n].by_name_alone)
"""Those that commands take which name none."""


def changes_nothing(name: str) -> bool:
    """Say whether a denoiser of this name gives back what it was given."""
    return name in DENOISERS and DENOISERS[name].changes_nothing
