"""What the table ``truth`` says below it of surveys: of all pixels, of pixels drawn, universal."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from pixguard.records import (
    PIXEL_SAMPLE,
    PIXEL_UNIVERSAL,
    PixelSample,
    decode_label_set,
)
from pixguard.reports.querying import RowValues
from pixguard.reports.studies import Study
from pixguard.reports.tables.request import TableRequest
from pixguard.statistics import mean_interval


def survey_notes(request: TableRequest, study: Study) -> Iterator[str]:
    """Yield what surveys (``certify pixels``) of a classifier's images say."""
    place = {"classifier_id": study.classifier_id, "dataset_id": study.dataset_id}

    def kept(kind: str) -> Sequence[RowValues]:
        return request.fetch_all("truth_maps", method=f"{kind} %", **place)

    yield from _surveyed(request.fetch_all("truth_pixels", **place))
    yield from _drawn(kept(PIXEL_SAMPLE), study.size**2)
    yield from _universal(kept(PIXEL_UNIVERSAL))


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


def _drawn(rows: Sequence[RowValues], pixels: int) -> Iterator[str]:
    """Yield what pixels that were drawn say: of the method that decided most."""
    own = most_drawn(rows)
    if not own:
        return
    number, drawn = own[0].method.rsplit(" ", 1)[-1], sum(one.drawn for one in own)
    proven, between, left = (
        sum(part) for part in zip(*((o.proven, o.between, o.open) for o in own), strict=True)
    )
    shares = {
        "proven": [one.share(one.proven, pixels) for one in own],
        "fooled at an extreme": [len(one.extremes) / pixels for one in own],
        "fooled only between extremes": [one.share(one.between, pixels) for one in own],
        "open": [one.share(one.open, pixels) for one in own],
    }
    fallen = [one for one in own if one.between]
    yield (
        f"Of {len(own)} images every extreme colour of every pixel was tried, and {number} pixels "
        "of each, drawn at random of those that no extreme fools, were looked at over all colours "
        f"(certify pixels --drawn {number}): {sum(bool(one.extremes) for one in own)} images are "
        f"vulnerable at an extreme; of {drawn} pixels drawn {proven} are proven, {between} fooled "
        f"only between extremes (on {len(fallen)} images, of which no extreme fools "
        f"{sum(not one.extremes for one in fallen)}), {left} open. Estimated of all pixels, with "
        "the interval over images: "
        + ", ".join(f"{_percent(each)} {what}" for what, each in shares.items())
        + ". That an image is robust is proven by a survey of all its pixels alone."
    )


def most_drawn(rows: Sequence[RowValues]) -> list[PixelSample]:
    """Return what is kept of pixels drawn, an image each, by the method that decided most."""
    methods = defaultdict[str, list[PixelSample]](list)
    for row in rows:
        known = {"method": row["method"], "predicted": decode_label_set(row["predicted"])}
        sample = PixelSample.read(json.loads(row["votes"]), image_index=row["image_id"], **known)
        methods[sample.method].append(sample)

    def decided(own: list[PixelSample]) -> tuple[int, int]:
        drawn = sum(one.drawn for one in own)
        return drawn - sum(one.open for one in own), drawn

    return max(methods.values(), key=decided, default=[])


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
