"""Images as the commands need them: of a class, drawn, attacked ones rebuilt, alike in a chunk."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixguard.datasets.base import ImageDataset, Images, image_sha256
from pixguard.datasets.png import decode_png, encode_png
from pixguard.errors import PixguardError, UsageError
from pixguard.inference.images import with_pixels
from pixguard.models.inputs import to_unit_range
from pixguard.records import ANY_CLASS, NO_FINDING_ORDINAL, PixelRecord, Split, WholeImageRecord
from pixguard.registry import suggestion
from pixguard.runner.chunks import cut
from pixguard.runner.session import Session

CHUNK = 64
"""Images restored, scored or judged between two looks at the stop signal."""


class Source(Protocol):
    """What tells a clean image and what was changed in it, if anything."""

    @property
    def image_index(self) -> int:
        """The dataset index of the clean image."""

    @property
    def pixels(self) -> Sequence[PixelRecord]:
        """The changed pixels."""

    @property
    def whole(self) -> WholeImageRecord | None:
        """The whole image, of a dense attack."""


AnySource = TypeVar("AnySource", bound=Source)


def indices_of_class(
    dataset: ImageDataset, split: Split, only_class: str | None
) -> NDArray[np.int64]:
    """Return the dataset indices of a split's images that carry a class, ascending; None: of all.

    Raises:
        UsageError: the dataset has no class of that name.
    """
    indices = dataset.indices(split)
    if only_class is None:
        return indices
    ordinals = {c.name: c.ordinal for c in dataset.info.classes}
    if only_class not in ordinals:
        raise UsageError(
            f"{dataset.info.name!r} has no class {only_class!r}", suggestion(only_class, ordinals)
        )
    wanted = ordinals[only_class]
    label_sets = (dataset.label_set(int(index)) or (NO_FINDING_ORDINAL,) for index in indices)
    carries = np.fromiter((wanted in labels for labels in label_sets), bool, len(indices))
    chosen: NDArray[np.int64] = indices[carries]
    return chosen


def indices_of_normal(dataset: ImageDataset, split: Split, normal: str | None) -> NDArray[np.int64]:
    """Return the indices of a split's images that a detector is to know: of a class, or any.

    Raises:
        UsageError: the dataset has no class of that name.
    """
    return indices_of_class(dataset, split, None if normal == ANY_CLASS else normal)


def drawn(indices: NDArray[np.int64], limit: int | None, seed: int) -> NDArray[np.int64]:
    """Return at most ``limit`` of the indices, drawn with the seed, ascending; None: all."""
    if limit is None or limit >= len(indices):
        return indices
    places = np.random.default_rng(seed).permutation(len(indices))[:limit]
    chosen: NDArray[np.int64] = indices[np.sort(places)]
    return chosen


def adversarial_images(
    session: Session, dataset: ImageDataset, attempts: Sequence[Source]
) -> tuple[Tensor, Tensor]:
    """Rebuild images of one shape and kind; see :func:`chunks_alike`.

    Returns:
        Clean and attacked images, float32 (N, C, H, W) in [0, 1] each; the same where no pixel was
        changed.
    """
    clean = to_unit_range(dataset.images([a.image_index for a in attempts]), session.device)
    wholes = [decoded(a.whole, a.image_index) for a in attempts if a.whole is not None]
    if wholes:
        return clean, to_unit_range(np.stack(wholes), session.device)
    if not attempts[0].pixels:
        return clean, clean
    positions = torch.tensor([[(p.row, p.col) for p in a.pixels] for a in attempts])
    colours = torch.tensor([[p.after for p in a.pixels] for a in attempts], dtype=torch.uint8)
    owners = torch.arange(len(attempts), device=session.device)
    return clean, with_pixels(
        clean, owners, positions.to(session.device), colours.to(session.device)
    )


def chunks_alike(
    dataset: ImageDataset, attempts: Sequence[AnySource]
) -> Iterator[Sequence[AnySource]]:
    """Yield attempts in chunks of one shape, each for one tensor.

    All of a chunk have one number of pixels, or a whole image each, or neither.
    """
    groups: dict[tuple[bool, int, tuple[int, int]], list[AnySource]] = {}
    for attempt in attempts:
        shape = dataset.shape(attempt.image_index)
        kind = (attempt.whole is not None, len(attempt.pixels), shape)
        groups.setdefault(kind, []).append(attempt)
    for _, group in sorted(groups.items()):
        yield from cut(group, CHUNK)


def whole_image(clean: Images, attacked: Images) -> WholeImageRecord:
    """Return the record of what a dense attack made of an image, both uint8 (H, W, C)."""
    change = attacked.astype(np.int64) - clean
    length = float(np.sqrt(np.square(change).sum())) / 255
    linf = int(np.abs(change).max())
    return WholeImageRecord(image_sha256(attacked), encode_png(attacked), linf, length)


def decoded(whole: WholeImageRecord, image_index: int) -> Images:
    """Return the pixels of a dense attack's image, uint8 (H, W, C).

    Raises:
        PixguardError: they are not those that were stored.
    """
    pixels = decode_png(whole.png)
    if image_sha256(pixels) != whole.sha256:
        raise PixguardError(
            f"the stored image of a dense attack on image {image_index} is not what was written",
            "pixguard db check",
        )
    return pixels
