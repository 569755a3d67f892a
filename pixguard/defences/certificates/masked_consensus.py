"""Masked consensus: PatchCleanser's double masking at the scale of pixels, around any classifier.

Mask number p of stride s hides phase p of an image, the pixels that
:func:`pixguard.defences.certificates.polyphase_vote.phases` puts together, so that the s x s masks
cover every pixel once. A set of masks hides what any of its members hides. A classifier is asked
about the image under every set of r masks, where r is the radius (Xiang, Mahloujifar and Mittal
2022, algorithm 1, with sets of r masks for masks):

1. If all answers agree, that is the decision.
2. Else every set S that disagrees with the plurality is tried with each other set T: the answer
   under S, if it is that under all unions of S and T, is the decision.
3. Else the plurality is.

Theorem (theirs, 1): where the answers under all unions of two sets of r masks agree, no change of
r pixels moves the decision. For some S* hides the changed pixels, whatever they are; what is seen
under S*, or any union with it, is as before the change, and answered so. Then a set that says
otherwise fails the second round for its union with S*, and S* itself passes it.

What is hidden must not be seen, and no more is needed: the source fills with one colour, and its
masks are rectangles. Here a hidden pixel takes the mean of those around it that are seen, weighted
by a Gaussian, which an untrained-for classifier hardly notices (docs/certificates.md has both).
"""

from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, one_hot

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.classifiers.opening import open_classifier
from pixguard.defences.certificates.polyphase_vote import plurality
from pixguard.defences.certificates.registry import MaskOptions
from pixguard.errors import UsageError
from pixguard.models.inputs import plain_layout
from pixguard.records import DatasetInfo, LabelSet, ModelRecord

BATCH = 64
"""Masked images that the classifier sees at a time, or as many as there are images."""
_REACH = 2
"""To each side of a hidden pixel; of the 5 x 5, every set of masks leaves some, at corners too."""
_SIGMA = 0.7


def mask_sets(stride: int, radius: int) -> tuple[Tensor, Tensor]:
    """Return the sets of masks of both rounds, and which of them is the union of two.

    Returns:
        bool (A, stride^2), whether a mask is in a set: the F sets of ``radius`` masks, then all of
        more, up to twice as many; and int64 (F, F), the place among them of the union of the sets
        S and T.
    """
    masks = range(stride**2)
    sets = [frozenset(s) for n in range(radius, 2 * radius + 1) for s in combinations(masks, n)]
    places = {members: place for place, members in enumerate(sets)}
    first = [members for members in sets if len(members) == radius]
    unions = torch.tensor([[places[s | t] for t in first] for s in first])
    rows = torch.zeros(len(sets), len(masks), dtype=torch.bool)
    for row, members in zip(rows, sets, strict=True):
        row[list(members)] = True
    return rows, unions


def consensus(opinions: Tensor, unions: Tensor, label_count: int) -> Tensor:
    """Return the decisions int64 (N,) that the two rounds come to.

    Args:
        opinions: int64 (N, A), the class under each set of :func:`mask_sets`.
        unions: as that returns them.
        label_count: how many classes there are.

    Of several sets that pass the second round the first decides; of equal counts the lowest class.
    """
    first = opinions[:, : len(unions)]
    majority = plurality(one_hot(first, label_count).sum(1))
    decided = majority
    for place in reversed(range(len(unions))):
        opinion = first[:, place]
        steadfast = (opinions[:, unions[place]] == opinion[:, None]).all(1)
        decided = torch.where(steadfast & (opinion != majority), opinion, decided)
    return decided


class MaskedConsensus(nn.Module):
    """A classifier that is asked about an image under sets of masks.

    Attributes:
        asked: a multi-class classifier of whole images, in evaluation mode where this is.
        stride: its square is the number of masks.
        radius: how many changed pixels a set of masks hides.
        fill: what hidden pixels take: the mean of seen neighbours, or the classifier's mean colour.
    """

    sets: Tensor
    unions: Tensor

    def __init__(self, asked: Classifier, options: MaskOptions) -> None:
        super().__init__()
        self.asked = asked
        self.stride, self.radius, self.fill = options.stride, options.radius, options.fill
        sets, unions = mask_sets(self.stride, self.radius)
        self.register_buffer("sets", sets, persistent=False)
        self.register_buffer("unions", unions, persistent=False)

    def masked(self, images: Tensor, sets: Tensor) -> Tensor:
        """Return images (N, C, H, W) under sets bool (K, masks): (N, K, C, H, W).

        What is hidden has no part in it, in exact terms: the same bits come out whatever it is.
        """
        height, width = images.shape[2:]
        rows, cols = (torch.arange(side, device=images.device) for side in (height, width))
        owner = rows[:, None] % self.stride * self.stride + cols % self.stride
        seen = ~sets[:, owner][:, None]
        if self.fill == "mean":
            return torch.where(seen, images[:, None], self.asked.mean)
        offsets = torch.arange(-_REACH, _REACH + 1, device=images.device, dtype=images.dtype)
        bell = (-(offsets**2) / (2 * _SIGMA**2)).exp()
        kernel = (bell[:, None] * bell)[None, None]
        kept = torch.where(seen, images[:, None], 0.0)
        weights = conv2d(seen.to(images.dtype), kernel, padding=_REACH)
        sums = conv2d(kept.reshape(-1, 1, height, width), kernel, padding=_REACH)
        return torch.where(seen, kept, sums.view_as(kept) / weights)

    def outputs(self, images: Tensor, sets: Tensor) -> Tensor:
        """Return the classifier's logits (N, K, L) on images under sets bool (K, masks).

        Of one image, a set is always answered in the same batch at the same place, so that the
        same bits are answered alike: the theorem holds of what is computed.
        """
        found = [
            self.asked(plain_layout(self.masked(images, part).flatten(0, 1)))
            for part in torch.split(sets, max(1, BATCH // len(images)))
        ]
        return torch.cat([part.float().unflatten(0, (len(images), -1)) for part in found], dim=1)

    def opinions(self, images: Tensor) -> Tensor:
        """Return the classes int64 (N, A) under all sets, round by round."""
        first, second = self._rounds()
        parts = (self.outputs(images, sets).argmax(2) for sets in (first, second))
        return torch.cat(list(parts), dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 logits (N, L) whose largest is the decision, by a half or more.

        They are 1 for the decision, and half of the softmax, meant over the first round: an attack
        that is to be taken seriously must be told how near an image is.
        """
        if not isinstance(images, Tensor):  # torch.fx, on behalf of the delta evaluator
            raise TypeError("masks are not evaluated layer by layer")
        first, second = self._rounds()
        outputs = self.outputs(images, first)
        opinions, label_count = outputs.argmax(2), outputs.shape[2]
        decided = opinions[:, 0]
        split = (opinions != decided[:, None]).any(1)
        if split.any():
            with torch.no_grad():
                more = self.outputs(images[split], second).argmax(2)
            every = torch.cat([opinions[split], more], dim=1)
            decided = decided.clone()
            decided[split] = consensus(every, self.unions, label_count)
        logits: Tensor = one_hot(decided, label_count) + 0.5 * outputs.softmax(2).mean(1)
        return logits

    def _rounds(self) -> tuple[Tensor, Tensor]:
        first = len(self.unions)
        return self.sets[:first], self.sets[first:]


def certify(classifier: Classifier, image: Tensor) -> tuple[LabelSet, tuple[int, ...], int]:
    """Return what masked consensus decides on an image, its answers by class, and the radius.

    The answers are those of the first round. The radius is that of the masks, or 0.

    Args:
        classifier: a masked consensus, in evaluation mode.
        image: float32 (1, C, H, W) in [0, 1], which is judged alone.

    Raises:
        ValueError: more than one image, or the classifier is no such one, or in training mode.
    """
    network = classifier.network
    if len(image) != 1 or classifier.training or not isinstance(network, MaskedConsensus):
        raise ValueError("expected one image, and a masked consensus in evaluation mode")
    with torch.inference_mode(), plain_float32(image.device):
        opinions = network.opinions(plain_layout(image))
    decided = consensus(opinions, network.unions, classifier.label_count)
    answers = opinions[0, : len(network.unions)].bincount(minlength=classifier.label_count)
    agreed = bool((opinions == decided).all())
    return (int(decided),), tuple(answers.tolist()), network.radius if agreed else 0


def as_classifier(asked: Classifier, options: MaskOptions) -> Classifier:
    """Return masked consensus around a classifier as a classifier, in evaluation mode.

    Its own normalisation does nothing: that of the classifier comes after the masks.

    Raises:
        UsageError: the classifier is multi-label, or the masks are too few to try two sets.
    """
    if asked.task != "multi-class":
        raise UsageError(
            "a consensus is of one class an image; this classifier gives any number of labels",
            "a classifier of a multi-class dataset",
        )
    if 2 * options.radius >= options.stride**2:
        raise UsageError(
            f"{options.stride**2} masks are too few for {options.radius} changed pixels: two sets "
            "of them hide the whole image",
            "`stride=3`",
        )
    whole = Classifier(
        MaskedConsensus(asked, options),
        asked.task,
        asked.label_count,
        mean=(0.0,) * asked.channels,
        std=(1.0,) * asked.channels,
    )
    return whole.to(asked.mean.device).eval()


def open_masked(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    """Return a registered masked consensus on a device, as ``open_classifier`` does what it asks.

    Raises:
        PixguardError: as ``open_classifier``.
    """
    asked = replace(record, architecture=record.network)
    options = {item.name: record.parameters[item.name] for item in fields(MaskOptions)}
    return as_classifier(open_classifier(asked, info, weights, device), MaskOptions(**options))
