"""A model layer by layer, in the form of the paper's Tables 1 and 2."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pixguard.classifiers.builders import build_classifier
from pixguard.datasets.patches import PATCH_SIDE
from pixguard.defences.certificates.polyphase_vote import is_vote, phase_side, registered_voter
from pixguard.defences.certificates.randomised_ablation import registered_asked
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.layers import MedianLayer
from pixguard.defences.denoisers.median import Median
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.errors import UsageError
from pixguard.models.weights import parameter_counts
from pixguard.records import RANDOMISED_ABLATION, DatasetInfo
from pixguard.runner.denoisers import build_registered
from pixguard.runner.detectors import build_registered_detector
from pixguard.store.reader import StoredModel

TYPE_NAMES: dict[type[nn.Module], str] = {
    nn.Conv2d: "Convolution 2-D",
    nn.MaxPool2d: "MaxPooling 2-D",
    nn.AvgPool2d: "AveragePooling 2-D",
    nn.AdaptiveAvgPool2d: "AdaptiveAveragePooling 2-D",
    nn.Upsample: "UpSampling 2-D",
    nn.BatchNorm2d: "Batch Normalization",
    nn.LayerNorm: "Layer Normalization",
    nn.Linear: "Fully Connected",
    nn.MultiheadAttention: "Multi-Head Attention",
    Median: "Median Filter 2-D",
    MedianLayer: "Median Filter 2-D",
}
"""The paper's names of layers and others in their manner; the rest go by their class."""

_ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Sigmoid,
)
"""They change no shape and have no parameters: part of the layer before, as in the paper."""

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer as it ran: its kind, its output's shape (H, W, C), its parameters.

    ``output`` is as the layer gives it, without the batch, where it is no map; None for what
    belongs to no layer. ``parameters`` counts the trainable and the others, and those of a layer
    that runs several times only once.
    """

    type: str
    output: tuple[int, ...] | None
    parameters: int


@dataclass(frozen=True, slots=True)
class LayerTable:
    """Layers in order of execution; the rows' parameters add up to both kinds together."""

    rows: tuple[LayerRow, ...]
    trainable_parameters: int
    frozen_parameters: int

    @property
    def total_parameters(self) -> int:
        """Trainable and non-trainable parameters."""
        return self.trainable_parameters + self.frozen_parameters


def layer_table(module: nn.Module, channels: int, size: int, *, device: str = "meta") -> LayerTable:
    """Return the layers that an image runs through.

    Activations without parameters are part of the layer before them. What is no module (sums,
    products, padding) is no row; parameters of no layer are the last row's.

    Args:
        module: maps float32 images (N, C, H, W) in [0, 1]; it is copied, not run.
        channels: of the image.
        size: its side in pixels.
        device: where the image runs. Nothing is computed on the meta device: at 224 the median CNN
            takes half a minute to run. But torch loads its compiler for it, which takes seconds.
    """
    probe = copy.deepcopy(module).to(device).eval()
    rows = [LayerRow("Input", (size, size, channels), 0)]
    counted: set[nn.Module] = set()

    def note(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(layer, _ACTIVATIONS):
            return
        parameters = 0 if layer in counted else sum(parameter_counts(layer))
        counted.add(layer)
        kind = TYPE_NAMES.get(type(layer), type(layer).__name__)
        rows.append(LayerRow(kind, _shape(layer, output), parameters))

    for layer in _layers(probe):
        layer.register_forward_hook(note)
    with torch.inference_mode():
        probe(torch.zeros(1, channels, size, size, device=device))
    trainable, frozen = parameter_counts(probe)
    rest = trainable + frozen - sum(row.parameters for row in rows)
    if rest:
        rows.append(LayerRow("Outside Layers", None, rest))
    return LayerTable(tuple(rows), trainable, frozen)


def layers_of_model(stored: StoredModel, info: DatasetInfo) -> LayerTable:
    """Return the layers of a registered model, built anew, on an image of its dataset's size.

    Args:
        stored: the model; its weights are not needed.
        info: of the dataset that it was trained on.
    """
    record = stored.record
    if "format" in record.parameters:
        raise UsageError(
            f"the layers of {record.architecture!r} are not known: it was added, not built here",
            f"pixguard models show {stored.id}",
        )
    if is_vote(record):
        # Every phase goes through the same layers.
        voter, stride = registered_voter(record, info)
        return layer_table(voter, info.channels, phase_side(info.size, stride))
    if record.architecture == RANDOMISED_ABLATION:
        return layer_table(registered_asked(record, info), 2 * info.channels, info.size)
    if record.kind == "classifier":
        return layer_table(build_classifier(record.network, info), info.channels, info.size)
    if record.kind == "detector":
        if DETECTORS[record.architecture].of_classifier:
            raise UsageError(
                f"{record.architecture} has no layers of its own: it asks a classifier",
                "pixguard models show MODEL --layers, of the classifier",
            )
        return layer_table(
            build_registered_detector(record, info.channels), info.channels, info.size
        )
    side = PATCH_SIDE if info.is_native else info.size
    return layer_table(build_registered(record, info.channels), info.channels, side)


def layers_of_denoiser(name: str, channels: int, size: int) -> LayerTable:
    """Return the layers of a denoiser that runs in no time, with its default parameters.

    Raises:
        UsageError: no denoiser has that name.
    """
    return layer_table(build_denoiser(name, channels), channels, size, device="cpu")


def _layers(module: nn.Module) -> list[nn.Module]:
    """Return the modules without parts; attention is one, for torch runs its parts unseen."""
    if isinstance(module, nn.MultiheadAttention) or not list(module.children()):
        return [module]
    found = [layer for child in module.children() for layer in _layers(child)]
    return list(dict.fromkeys(found))


def _shape(layer: nn.Module, output: Tensor | tuple[Tensor, ...]) -> tuple[int, ...]:
    """Return the shape of an output without the batch, a map's as (H, W, C)."""
    first = output if isinstance(output, Tensor) else output[0]
    _, *shape = first.shape
    if len(shape) == 3 and type(layer) not in _CHANNELS_LAST:
        channels, height, width = shape
        return height, width, channels
    return tuple(shape)
