"""The polyphase vote: a deterministic certificate against k changed pixels, of any colours.

Feature-partition aggregation (Hammoudeh and Lowd, 2023) with pixels for features: an image is
split into s x s sub-images, its *phases*, by taking every s-th pixel; a classifier, the *voter*,
decides on each alone; the plurality wins, among equals the class of the lowest index. A pixel lies
in one phase, so that k changed pixels change at most k votes, whatever the voter is.

The source trains a network for each part. Here one network judges all phases: they look alike, so
that it learns from s x s times as many images at the same cost, and it was the more accurate.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.datasets.base import ImageDataset, Images
from pixguard.errors import UsageError
from pixguard.models.inputs import plain_layout
from pixguard.models.weights import load_weights
from pixguard.records import POLYPHASE_VOTE, RUN_OFF, DatasetInfo, LabelSet, ModelRecord, digest


def phases(images: Tensor, stride: int) -> list[Tensor]:
    """Return the phases of images (N, C, H, W), ``stride`` squared tensors (N, C, h, w).

    Phase number i * stride + j holds the pixels (row, col) with row mod stride = i and col mod
    stride = j. h is H / stride rounded up, and w likewise: where the stride does not divide a
    side, the later phases lack a last row or column, and repeat their own.
    """
    height, width = (phase_side(side, stride) for side in images.shape[2:])
    split = []
    for row in range(stride):
        for col in range(stride):
            part = images[..., row::stride, col::stride]
            missing = (0, width - part.shape[3], 0, height - part.shape[2])
            if any(missing):
                part = nn.functional.pad(part, missing, mode="replicate")
            split.append(plain_layout(part))
    return split


def phase_dataset(dataset: ImageDataset, stride: int, members: NDArray[np.int64]) -> ImageDataset:
    """Return a view that shows every phase of some images as an image with that image's label.

    Args:
        dataset: multi-class.
        stride: as :func:`phases` takes it, and in its order: number m * stride^2 + p of the view
            is phase p of the image ``members[m]``.
        members: dataset indices (M,).
    """
    info, count = dataset.info, stride**2

    def read(indices: NDArray[np.int64]) -> Images:
        images = dataset.read(members[indices // count])
        height, width = (phase_side(side, stride) for side in images.shape[1:3])
        shown = np.empty((len(images), height, width, images.shape[3]), np.uint8)
        for phase in range(count):
            row, col = divmod(phase, stride)
            of_phase = indices % count == phase
            part = images[of_phase, row::stride, col::stride]
            missing = ((0, height - part.shape[1]), (0, width - part.shape[2]))
            shown[of_phase] = np.pad(part, ((0, 0), *missing, (0, 0)), mode="edge")
        return shown

    manifest = digest([info.manifest_sha256, "phases", stride, members.tolist()])
    return ImageDataset(
        replace(_phase_info(info, stride), manifest_sha256=manifest),
        labels=np.repeat(dataset.labels[members], count).astype(np.int64),
        splits=np.repeat(dataset.splits[members], count),
        read=read,
    )


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
    """A vote over the phases of an image, each judged without a look at the others.

    Attributes:
        voter: a multi-class classifier of phases, in evaluation mode where this is.
        stride: every how many pixels one is taken; its square is the number of votes.
    """

    def __init__(self, voter: Classifier, stride: int) -> None:
        super().__init__()
        self.voter = voter
        self.stride = stride

    def votes(self, images: Tensor) -> Tensor:
        """Return int64 (N, L): how many phases of images (N, C, H, W) are taken for each class."""
        return count(self.opinions(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 logits (N, L) whose largest is the plurality; see :func:`vote_logits`."""
        if not isinstance(images, Tensor):  # torch.fx, on behalf of the delta evaluator
            raise TypeError("a vote is not evaluated layer by layer")
        return vote_logits(self.opinions(images))

    def opinions(self, images: Tensor) -> Tensor:
        """Return the voter's logits, float32 (phases, N, L); one batch a phase, never mixed."""
        return torch.stack([self.voter(part).float() for part in phases(images, self.stride)])


def vote_logits(opinions: Tensor) -> Tensor:
    """Return float32 logits (N, L) whose largest is the plurality, by a quarter or more.

    They are the votes, a half more for the winner (which is the rule for equals), and a quarter of
    the voters' mean softmax: votes alone are flat, and an attack that is to be taken seriously must
    be told which vote is nearly won.

    Args:
        opinions: the voters' logits, float32 (voters, N, L).
    """
    votes = count(opinions)
    winner = nn.functional.one_hot(plurality(votes), votes.shape[1])
    logits: Tensor = votes + 0.5 * winner + 0.25 * opinions.softmax(2).mean(0)
    return logits


def count(opinions: Tensor) -> Tensor:
    """Return int64 (N, L): how many voters, by their logits (voters, N, L), name each class."""
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


def certify(classifier: Classifier, image: Tensor) -> tuple[LabelSet, tuple[int, ...], int]:
    """Return what a vote decides on an image, its votes by class, and the radius that holds for.

    Args:
        classifier: a vote, in evaluation mode.
        image: float32 (1, C, H, W) in [0, 1].
    """
    votes = canonical_votes(classifier, image)
    return (int(plurality(votes)),), tuple(votes[0].tolist()), int(certified_radius(votes))


def require_one_class(info: DatasetInfo) -> None:
    """Raise where images have any number of labels.

    Raises:
        UsageError: they do.
    """
    if info.task != "multi-class":
        raise UsageError(
            f"a plurality is of one class an image; images of {info.name!r} have any number of "
            "labels",
            "a multi-class dataset",
        )


def build_voter(architecture: str, stride: int, info: DatasetInfo, seed: int = 0) -> Classifier:
    """Return a fresh voter for the phases of a dataset's images, on the CPU.

    Raises:
        UsageError: the dataset is multi-label, the stride does not fit the images, or there is no
            such architecture or it cannot take images as small as a phase.
    """
    require_one_class(info)
    if not 2 <= stride <= info.size:
        raise UsageError(
            f"images of {info.size} x {info.size} are not split by a stride of {stride}",
            "`stride=2`",
        )
    try:
        return build_classifier(architecture, _phase_info(info, stride), seed=seed)
    except UsageError as error:
        if stride == 2 or "cannot take images" not in error.message:
            raise
        raise UsageError(
            f"{error.message}, which a stride of {stride} leaves", "a smaller stride: `stride=2`"
        ) from error


def as_classifier(
    voter: Classifier, stride: int, kind: type[PolyphaseVote] = PolyphaseVote
) -> Classifier:
    """Return the vote of a voter as a classifier of whole images, in evaluation mode.

    ``kind`` says how it is decided. Its own normalisation does nothing: the voter's comes after
    the split.
    """
    whole = Classifier(
        kind(voter, stride),
        voter.task,
        voter.label_count,
        mean=(0.0,) * voter.channels,
        std=(1.0,) * voter.channels,
    )
    return whole.to(voter.mean.device).eval()


def registered_voter(record: ModelRecord, info: DatasetInfo) -> tuple[Classifier, int]:
    """Return the voter of a registered vote, with fresh weights, and the vote's stride."""
    stride = int(record.parameters["stride"])
    return build_voter(record.parameters["voter"], stride, info), stride


def open_vote(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    """Return a registered vote on a device, as ``open_classifier`` does other classifiers.

    Raises:
        PixguardError: its weights are missing, damaged or not those of the record.
    """
    classifier = as_classifier(*registered_voter(record, info))
    load_weights(classifier, weights / record.weights_file, record.content_sha256)
    return classifier.to(device).eval()


def is_vote(record: ModelRecord) -> bool:
    """Say whether a registered classifier is a polyphase vote, or a run-off of one."""
    return record.architecture in (POLYPHASE_VOTE, RUN_OFF)


def phase_side(side: int, stride: int) -> int:
    """Return the side of a phase: that of the image by the stride, rounded up."""
    return -(-side // stride)


def _phase_info(info: DatasetInfo, stride: int) -> DatasetInfo:
    return replace(info, size=phase_side(info.size, stride))
