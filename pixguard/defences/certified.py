"""The polyphase vote: a deterministic certificate against k changed pixels, of any colours.

Feature-partition aggregation (Hammoudeh and Lowd, 2023) with pixels for features: an image is
split into s x s sub-images, its *phases*, by taking every s-th pixel; a classifier of its own, its
*voter*, decides on each; the plurality wins, among equals the class of the lowest index. A pixel
lies in one phase, so that k changed pixels change at most k votes, whatever the voters are.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.classifiers.inputs import plain_layout
from pixguard.classifiers.weights import load_weights
from pixguard.datasets.base import ImageDataset, Images
from pixguard.errors import UsageError
from pixguard.records import POLYPHASE_VOTE, DatasetInfo, ModelRecord, digest


def phases(images: Tensor, stride: int) -> list[Tensor]:
    """Return the phases of images (N, C, H, W), ``stride`` squared tensors (N, C, h, w).

    Phase number i * stride + j holds the pixels (row, col) with row mod stride = i and col mod
    stride = j. h is H / stride rounded up, and w likewise: where the stride does not divide a
    side, the later phases lack a last row or column, and repeat their own.
    """
    height, width = (-(-side // stride) for side in images.shape[2:])
    split = []
    for row in range(stride):
        for col in range(stride):
            part = images[..., row::stride, col::stride]
            missing = (0, width - part.shape[3], 0, height - part.shape[2])
            if any(missing):
                part = nn.functional.pad(part, missing, mode="replicate")
            split.append(plain_layout(part))
    return split


def phase_dataset(dataset: ImageDataset, stride: int, phase: int) -> ImageDataset:
    """Return a view of a dataset that shows one phase of each image, as :func:`phases` does."""
    info = dataset.info
    row, col = divmod(phase, stride)

    def read(indices: NDArray[np.int64]) -> Images:
        images = dataset.read(indices)
        height, width = (-(-side // stride) for side in images.shape[1:3])
        part = images[:, row::stride, col::stride]
        missing = ((0, 0), (0, height - part.shape[1]), (0, width - part.shape[2]), (0, 0))
        return np.pad(part, missing, mode="edge")

    manifest = digest([info.manifest_sha256, "phase", stride, phase])
    part_info = replace(_phase_info(info, stride), manifest_sha256=manifest)
    return replace(dataset, info=part_info, read=read)


def plurality(votes: Tensor) -> Tensor:
    """Return int64 (N,): the class of most votes int64 (N, L), the lowest index among equals."""
    count = votes.shape[1]
    return (votes * count - torch.arange(count, device=votes.device)).argmax(1)


def certified_radius(votes: Tensor) -> Tensor:
    """Return int64 (N,): how many votes can move, anyhow, without changing the plurality.

    A vote that goes from the winner to another class brings them nearer by two. A class of a
    lower index than the winner's wins at equality, and is one vote nearer for that.

    Args:
        votes: int64 (N, L). With one class nothing can change: then all votes can move.
    """
    winner = plurality(votes)[:, None]
    classes = torch.arange(votes.shape[1], device=votes.device)
    lead = votes.gather(1, winner) - votes - (classes < winner).long()
    others = classes != winner
    return (lead // 2).where(others, votes.sum(1, keepdim=True)).amin(1)


class PolyphaseVote(nn.Module):
    """A vote of classifiers, each of which sees one phase of the image and nothing else.

    Attributes:
        voters: ``stride`` squared classifiers of one multi-class task, in the order of the phases.
        stride: every how many pixels one is taken.
    """

    def __init__(self, voters: Sequence[Classifier], stride: int) -> None:
        super().__init__()
        self.voters = nn.ModuleList(voters)
        self.stride = stride

    def votes(self, images: Tensor) -> Tensor:
        """Return int64 (N, L): how many voters decide for each class of images (N, C, H, W)."""
        return _count(self._opinions(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 logits (N, L) whose largest is the plurality, by a quarter or more.

        They are the votes, a half more for the winner (which is the rule for equals), and a
        quarter of the mean of the voters' softmax: votes alone are flat, and an attack that is to
        be taken seriously must be told which vote is nearly won.
        """
        opinions = self._opinions(images)
        votes = _count(opinions)
        winner = nn.functional.one_hot(plurality(votes), votes.shape[1])
        logits: Tensor = votes + 0.5 * winner + 0.25 * opinions.softmax(2).mean(0)
        return logits

    def _opinions(self, images: Tensor) -> Tensor:
        """Return the voters' logits, float32 (voters, N, L)."""
        parts = zip(self.voters, phases(images, self.stride), strict=True)
        return torch.stack([voter(part).float() for voter, part in parts])


def _count(opinions: Tensor) -> Tensor:
    return nn.functional.one_hot(opinions.argmax(2), opinions.shape[2]).sum(0)


def canonical_votes(classifier: Classifier, image: Tensor) -> Tensor:
    """Return the votes int64 (1, L) on one image, float32 (1, C, H, W), as it is judged alone.

    As :func:`pixguard.classifiers.evaluation.canonical_logits`: what a voter says depends on its
    phase, its weights and the device, and not on other images.

    Raises:
        ValueError: more than one image, or the classifier is no vote, or in training mode.
    """
    vote = classifier.network
    if len(image) != 1 or classifier.training or not isinstance(vote, PolyphaseVote):
        raise ValueError("expected one image, and a polyphase vote in evaluation mode")
    with torch.inference_mode(), plain_float32(image.device):
        return vote.votes(plain_layout(image))


def build_voters(
    architecture: str, stride: int, info: DatasetInfo, seed: int = 0
) -> list[Classifier]:
    """Return fresh voters for a dataset, on the CPU; they differ in their training alone.

    Raises:
        UsageError: the dataset is multi-label, the stride does not fit the images, or there is no
            such architecture or it cannot take images as small as a phase.
    """
    if info.task != "multi-class":
        raise UsageError(
            f"a plurality is of one class an image; images of {info.name!r} have any number of "
            "labels",
            "a multi-class dataset",
        )
    if not 2 <= stride <= info.size:
        raise UsageError(
            f"images of {info.size} x {info.size} are not split by a stride of {stride}",
            "--stride 2",
        )
    part = _phase_info(info, stride)
    try:
        return [build_classifier(architecture, part, seed=seed) for _ in range(stride**2)]
    except UsageError as error:
        if stride == 2 or "cannot take images" not in error.message:
            raise
        raise UsageError(
            f"{error.message}, which a stride of {stride} leaves", f"--stride {stride - 1}"
        ) from error


def as_classifier(voters: Sequence[Classifier], stride: int) -> Classifier:
    """Return voters as one classifier, in evaluation mode; each normalises its own phase."""
    first = voters[0]
    whole = Classifier(
        PolyphaseVote(voters, stride),
        first.task,
        first.label_count,
        mean=(0.0,) * first.channels,
        std=(1.0,) * first.channels,
    )
    return whole.to(first.mean.device).eval()


def build_vote(record: ModelRecord, info: DatasetInfo) -> Classifier:
    """Return the vote of a record, with fresh weights."""
    stride = int(record.parameters["stride"])
    return as_classifier(build_voters(record.parameters["voter"], stride, info), stride)


def open_vote(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    """Return a registered vote on a device, as ``open_classifier`` does other classifiers.

    Raises:
        PixguardError: its weights are missing, damaged or not those of the record.
    """
    classifier = build_vote(record, info)
    load_weights(classifier, weights / record.weights_file, record.weights_sha256)
    return classifier.to(device).eval()


def is_vote(record: ModelRecord) -> bool:
    """Say whether a registered classifier is a polyphase vote."""
    return record.architecture == POLYPHASE_VOTE


def _phase_info(info: DatasetInfo, stride: int) -> DatasetInfo:
    return replace(info, size=-(-info.size // stride))
