"""Models, their training, and what classifiers say of clean images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pixguard.records.labels import LabelSet

ModelKind = Literal["classifier", "denoiser", "detector"]
POLYPHASE_VOTE = "polyphase-vote"
RUN_OFF = "run-off"
MASKED_CONSENSUS = "masked-consensus"
RANDOMISED_ABLATION = "randomised-ablation"
CERTIFIED = (POLYPHASE_VOTE, RUN_OFF, MASKED_CONSENSUS, RANDOMISED_ABLATION)
"""Architectures of certified classifiers, which are also the methods of their certificates."""
CONFIDENCE = 0.95
"""That the radius of a statistical certificate holds, for each image."""
TRAINING_KEY = "training_key"
"""The hyper-parameter that identifies a finished training; its checkpoint was named by it."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A trained model.

    Attributes:
        parameters: rebuild the module (builder arguments).
        name: the user's, of a classifier of their own; its architecture is called so, too.
    """

    kind: ModelKind
    architecture: str
    weights_sha256: str
    weights_file: str
    parameters: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    trainable_parameters: int
    frozen_parameters: int
    training_seconds: float
    epochs: int
    train_accuracy: float | None = None
    name: str | None = None

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the tensors in the file, which models of two datasets may share."""
        return str(self.hyperparameters.get("content_sha256", self.weights_sha256))

    @property
    def network(self) -> str:
        """Its architecture, or that of the classifier that it asks about parts of an image."""
        return str(self.parameters.get("network", self.architecture))

    @property
    def is_plain(self) -> bool:
        """Whether ``latest`` may mean it: trained by pixguard, and not certified."""
        return self.architecture not in CERTIFIED and "added_from" not in self.hyperparameters


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of training. Accuracies are in [0, 1] and None for denoisers."""

    epoch: int
    train_loss: float
    val_loss: float | None
    train_accuracy: float | None
    val_accuracy: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """The decision of a classifier on one clean image."""

    image_index: int
    predicted: LabelSet
    confidence: float
