"""What the table ``truth`` says below it of surveys: of all pixels, of pixels drawn, universal."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pixguard.records import PIXEL_UNIVERSAL
from pixguard.reports.querying import RowValues
from pixguard.reports.tables.request import TableRequest
from pixguard.statistics import mean_interval


def survey_notes(request: TableRequest, classifier_id: int, dataset_id: int) -> Iterator[str]:
    """Yield what surveys (``certify pixels``) of a classifier's images say."""
    place = {"classifier_id": classifier_id, "dataset_id": dataset_id}
    yield from _surveyed(request.fetch_all("truth_pixels", **place))
    yield from _drawn(request.fetch_all("truth_drawn", **place))
    yield from _universal(request.fetch_all("truth_maps", method=f"{PIXEL_UNIVERSAL} %", **place))


def _surveyed(rows: Sequence[RowValues]) -> Iterator[str]:
    """Yield what surveys of all pixels say; of several of an image that which left least open."""
    best = dict[int, list[int]]()
    for row in rows:
        votes = json.loads(row["votes"])
        best[row["image_id"]] = min(votes, best.get(row["image_id"], votes), key=lambda v: v[3])
    if not best:
        return
    images, pixels = len(best), sum(map(sum, best.values()))
    proven, extreme, between, left = (sum(column) for column in zip(*best.values(), strict=True))
    parts = (
        (proven, "proven"),
        (extreme, "fooled at an extreme colour"),
        (between, "fooled only between extremes"),
        (left, "open"),
    )
    missed = sum(votes[1] == 0 < votes[2] for votes in best.values())
    robust = sum(votes[0] == sum(votes) for votes in best.values())
    yield (
        f"Every pixel of {images} images was surveyed (certify pixels): "
        + ", ".join(f"{100 * count / pixels:.3g} % {what}" for count, what in parts)
        + f". Vulnerable pixels an image, mean (ANVP): {'at least ' if left else ''}"
        f"{(extreme + between) / images:.4g}. {robust} of these images are proven robust, {missed} "
        "are vulnerable between extremes only, where a search of corners finds nothing."
    )


class _Drawn(NamedTuple):
    """Of one image: all its pixels, those that an extreme fools, and what became of those drawn."""

    pixels: int
    extreme: int
    proven: int
    between: int
    open: int

    @property
    def number(self) -> int:
        return self.proven + self.between + self.open

    def share(self, part: int) -> float:
        """Return which share of all pixels a part of those drawn stands for."""
        return (1 - self.extreme / self.pixels) * part / self.number if self.number else 0.0


def _drawn(rows: Sequence[RowValues]) -> Iterator[str]:
    """Yield what pixels that were drawn say: of the method that drew most."""
    methods = defaultdict[str, list[_Drawn]](list)
    for row in rows:
        proven, extreme, between, left = json.loads(row["votes"])
        methods[row["method"]].append(_Drawn(row["pixels"], extreme, proven, between, left))
    if not methods:
        return
    method, own = max(methods.items(), key=lambda item: sum(one.number for one in item[1]))
    number, drawn = method.rsplit(" ", 1)[-1], sum(one.number for one in own)
    proven, between, left = (
        sum(part) for part in zip(*((o.proven, o.between, o.open) for o in own), strict=True)
    )
    shares = {
        "proven": [one.share(one.proven) for one in own],
        "fooled at an extreme": [one.extreme / one.pixels for one in own],
        "fooled only between extremes": [one.share(one.between) for one in own],
        "open": [one.share(one.open) for one in own],
    }
    yield (
        f"Of {len(own)} images every extreme colour of every pixel was tried, and {number} pixels "
        "of each, drawn at random of those that no extreme fools, were decided for all colours "
        f"(certify pixels --drawn {number}): {sum(one.extreme > 0 for one in own)} images are "
        f"vulnerable at an extreme; of {drawn} pixels drawn {proven} are proven, {between} fooled "
        f"only between extremes (on {sum(one.between > 0 for one in own)} images), {left} open. "
        "Estimated of all pixels, with the interval over images: "
        + ", ".join(f"{_percent(each)} {what}" for what, each in shares.items())
        + ". That an image is robust is proven by a survey of all its pixels alone."
    )


def _percent(shares: Sequence[float]) -> str:
    """Return the mean of images' shares in percent, with its interval where they differ."""
    mean = sum(shares) / len(shares)
    interval = mean_interval(mean, sum((one - mean) ** 2 for one in shares), len(shares))
    if interval is None or interval[0] == interval[1]:
        return f"{100 * mean:.3g} %"
    low, high = interval
    return f"{100 * mean:.3g} % ({100 * max(0.0, low):.1f}–{100 * min(1.0, high):.1f})"


def _universal(rows: Sequence[RowValues]) -> Iterator[str]:
    """Yield which pixels were chosen to fool most images: for most images, and most pixels."""
    chosen = defaultdict(list)
    for row in rows:
        chosen[row["method"]].append(json.loads(row["votes"]))
    if not chosen:
        return
    own = max(chosen.values(), key=lambda own: (len(own), len(own[0]["pixels"])))
    steps = [
        f"({row}, {col}) set to {', '.join(map(str, colour))}: "
        f"{sum(one['fooled'][number] for one in own)} of {len(own)}"
        for number, (row, col, colour) in enumerate(own[0]["pixels"])
    ]
    if not steps:
        yield f"Universal pixels: nothing fools any of {len(own)} surveyed images."
        return
    values = "values" if len(own[0]["pixels"][0][2]) == 1 else "extreme colours"
    yield (
        f"Universal pixels, and how many images are fooled: {'; with '.join(steps)}. Each fools "
        f"most of these images, together with those before it, of all {values} of all pixels."
    )
