"""Randomised ablation: a statistical certificate against k changed pixels (Levine, Feizi 2020).

Of an image k pixels are kept, drawn at random, and the rest is hidden. A classifier is trained on
such ablations; the *smoothed* classifier decides on the class that it most often sees. A hidden
pixel is no colour: as in the source each channel x becomes two, x and 1 - x, of which a hidden one
has 0 and 0.

Theorem (theirs, 1, for the most frequent class alone): of N pixels let rho be changed. An ablation
shows none of them with probability C(N - rho, k) / C(N, k), and then is what it was. So the
frequency of a class changes by at most 1 less that, the overlap; a class that an unchanged image
shows in more than 1/2 + overlap of its ablations is the smoothed decision on every changed image.

How frequent a class is, is known from a sample: the radius is the largest for which the one-sided
Clopper-Pearson bound says so at a confidence of 95 %. That is the chance, for each image, that the
radius holds; it is of the smoothed classifier, of which decisions here are an estimate by 100
ablations. These, and the sample of the certificate, are the same for every image: who knows them
can aim at what they show, which the theorem does not speak of.

Inferred: the first convolution is drawn anew for twice the channels.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from scipy.special import betainc
from torch import Tensor, nn

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.defences.certificates.polyphase_vote import (
    count,
    plurality,
    require_one_class,
    vote_logits,
)
from pixguard.errors import UsageError
from pixguard.models.inputs import plain_layout
from pixguard.models.seeding import seeded
from pixguard.models.weights import load_weights
from pixguard.records import CONFIDENCE, DatasetInfo, LabelSet, ModelRecord

SAMPLES = 1000
"""Ablations that a certificate is taken from; others, a tenth as many, a decision."""
BATCH = 64
"""Ablations that the classifier sees at a time, or as many as there are images."""
_SEED = 20


def draw(ranks: Tensor, keep: int) -> Tensor:
    """Return bool (n, pixels): the ``keep`` highest of each row of random ranks (n, pixels)."""
    kept = torch.zeros_like(ranks, dtype=torch.bool)
    return kept.scatter_(1, ranks.topk(keep, dim=1).indices, True)


def ablate(images: Tensor, kept: Tensor) -> Tensor:
    """Return images (N, 2 C, H, W): x, then 1 - x, where kept, else 0 and 0.

    Args:
        images: float (N, C, H, W) in [0, 1].
        kept: bool (N, 1, H, W).
    """
    return torch.cat([images, 1 - images], dim=1) * kept


def overlap(changed: int, pixels: int, keep: int) -> Fraction:
    """Return the chance that ``keep`` of ``pixels``, drawn at random, hold one of some changed."""
    return 1 - Fraction(math.comb(pixels - changed, keep), math.comb(pixels, keep))


def certified_radius(
    found: int, samples: int, pixels: int, keep: int, error: float = 1 - CONFIDENCE
) -> int:
    """Return the largest radius that a sample shows, 0 where it shows none.

    Args:
        found: how many of the samples showed the class.
        samples: how many were drawn, independently.
        pixels: of the image.
        keep: how many an ablation shows.
        error: the chance that the radius is too large.
    """
    radius = 0
    for changed in range(1, pixels - keep + 1):
        bar = float(Fraction(1, 2) + overlap(changed, pixels, keep))
        # The Clopper-Pearson bound is above the bar where so many would be rarer at it.
        if found == 0 or bar >= 1 or betainc(found, samples - found + 1, bar) >= error:
            break
        radius = changed
    return radius


class Ablating(nn.Module):
    """What is trained: a classifier that sees one ablation of each image, in training a fresh one.

    Args:
        asked: maps images of twice the channels to logits.
        keep: how many pixels it sees.
    """

    def __init__(self, asked: Classifier, keep: int) -> None:
        super().__init__()
        self.asked = asked
        self.keep = keep

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, L) for images (N, C, H, W) in [0, 1]."""
        number, _, height, width = images.shape
        pixels, stream = height * width, torch.Generator().manual_seed(_SEED)
        if self.training:  # from torch's own generator, as a dropout: the training loop seeds it
            kept = draw(torch.rand(number, pixels, device=images.device), self.keep)
        else:
            kept = draw(torch.rand(number, pixels, generator=stream), self.keep).to(images.device)
        logits: Tensor = self.asked(ablate(images, kept.view(-1, 1, height, width)))
        return logits


class RandomisedAblation(nn.Module):
    """The smoothed classifier, by a sample.

    Attributes:
        asked: a multi-class classifier of ablations, in evaluation mode where this is.
        keep: how many pixels an ablation shows.
        samples: how many a certificate is taken from.
    """

    kept: Tensor

    def __init__(self, asked: Classifier, keep: int, side: int, samples: int = SAMPLES) -> None:
        super().__init__()
        self.asked = asked
        self.keep, self.samples, self._side = keep, samples, side
        stream = torch.Generator().manual_seed(_SEED)
        # The rest of the stream is the certificates': a sample of their own.
        kept = draw(torch.rand(max(1, samples // 10), side * side, generator=stream), keep)
        self.register_buffer("kept", kept.view(-1, 1, side, side), persistent=False)
        self._stream_state = stream.get_state()

    def opinions(self, images: Tensor, kept: Tensor) -> Tensor:
        """Return logits float32 (K, N, L) on ablations of images (N, C, H, W), bool (K, 1, H, W).

        Of one image, an ablation is always seen in the same batch at the same place.
        """
        parts = []
        for masks in torch.split(kept, max(1, BATCH // len(images))):
            shown = ablate(
                images.repeat(len(masks), 1, 1, 1), masks.repeat_interleave(len(images), dim=0)
            )
            logits: Tensor = self.asked(plain_layout(shown))
            parts.append(logits.float().view(len(masks), len(images), -1))
        return torch.cat(parts)

    def sampled(self, image: Tensor) -> Tensor:
        """Return how often each class is seen in the certificates' sample, int64 (1, L)."""
        stream = torch.Generator()
        stream.set_state(self._stream_state)
        votes = torch.zeros(1, self.asked.label_count, dtype=torch.int64, device=image.device)
        for number in _cut(self.samples):
            kept = draw(torch.rand(number, self._side**2, generator=stream), self.keep)
            kept = kept.view(-1, 1, self._side, self._side).to(image.device)
            votes += count(self.opinions(image, kept))
        return votes

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 logits (N, L) whose largest is the decision; see ``PolyphaseVote``."""
        if not isinstance(images, Tensor):  # torch.fx, on behalf of the delta evaluator
            raise TypeError("ablations are not evaluated layer by layer")
        return vote_logits(self.opinions(images, self.kept))


def _cut(samples: int) -> Iterator[int]:
    for start in range(0, samples, BATCH):
        yield min(BATCH, samples - start)


def certify(classifier: Classifier, image: Tensor) -> tuple[LabelSet, tuple[int, ...], int]:
    """Return the decision on an image, how often the sample shows each class, and the radius.

    Args:
        classifier: a randomised ablation, in evaluation mode.
        image: float32 (1, C, H, W) in [0, 1], which is judged alone.

    Raises:
        ValueError: more than one image, or the classifier is no such one, or in training mode.
    """
    network = classifier.network
    if len(image) != 1 or classifier.training or not isinstance(network, RandomisedAblation):
        raise ValueError("expected one image, and a randomised ablation in evaluation mode")
    with torch.inference_mode(), plain_float32(image.device):
        plain = plain_layout(image)
        decided = int(plurality(count(network.opinions(plain, network.kept))))
        votes = network.sampled(plain)[0].tolist()
    pixels = image.shape[2] * image.shape[3]
    radius = certified_radius(votes[decided], network.samples, pixels, network.keep)
    return (decided,), tuple(votes), radius


def build_asked(architecture: str, keep: int, info: DatasetInfo, seed: int = 0) -> Classifier:
    """Return a fresh classifier of ablations, on the CPU.

    Raises:
        UsageError: the dataset is multi-label, there are no more pixels than are kept, or there is
            no such architecture or it cannot take images of this size.
    """
    require_one_class(info)
    if keep >= info.size**2:
        raise UsageError(
            f"images of {info.size} x {info.size} have no {keep} pixels to keep and others to hide",
            f"`keep={max(1, info.size**2 // 17)}`",
        )
    network = build_classifier(architecture, info, seed=seed).network
    name, first = next(
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    )
    same: dict[str, Any] = {
        word: getattr(first, word) for word in ("kernel_size", "stride", "padding", "dilation")
    }
    with seeded(seed):
        doubled = nn.Conv2d(
            2 * info.channels, first.out_channels, bias=first.bias is not None, **same
        )
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, doubled)
    zeros, ones = (0.0,) * 2 * info.channels, (1.0,) * 2 * info.channels
    return Classifier(network, info.task, info.label_count, mean=zeros, std=ones).eval()


def as_trainee(asked: Classifier, keep: int) -> Classifier:
    """Return what is trained so that a classifier of ablations is: it shares its weights."""
    return _whole(Ablating(asked, keep), asked)


def as_classifier(asked: Classifier, keep: int, side: int, samples: int = SAMPLES) -> Classifier:
    """Return the smoothed classifier of images of a side, in evaluation mode."""
    return _whole(RandomisedAblation(asked, keep, side, samples), asked).eval()


def _whole(network: nn.Module, asked: Classifier) -> Classifier:
    channels = asked.channels // 2
    whole = Classifier(
        network, asked.task, asked.label_count, mean=(0.0,) * channels, std=(1.0,) * channels
    )
    return whole.to(asked.mean.device)


def registered_asked(record: ModelRecord, info: DatasetInfo) -> Classifier:
    """Return the classifier of ablations of a registered model, with fresh weights."""
    return build_asked(record.network, int(record.parameters["keep"]), info)


def open_ablation(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    """Return a registered randomised ablation, as ``open_classifier`` does other classifiers.

    Raises:
        PixguardError: its weights are missing, damaged or not those of the record.
    """
    given = record.parameters
    asked = registered_asked(record, info)
    classifier = as_classifier(asked, given["keep"], info.size, given["samples"])
    load_weights(classifier, weights / record.weights_file, record.content_sha256)
    return classifier.to(device).eval()
