"""Table ``pixels``: where the pixels of successful attacks are, and which colours they have."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, rate_cell

PARTS = 4
"""Bands and strips of an image; the query has the same number."""
COLUMNS = (
    Column("pixels", "count", is_label=True),
    Column("where"),
    Column("changed pixels", "count"),
    Column("share %", "percent", show_denominator=True),
    Column("by chance %", "percent"),
    Column("brightness before", "quantity"),
    Column("brightness after", "quantity"),
    Column("extremes %", "percent"),
)
NOTES = (
    "The image in 4 x 4 fields, r1 c1 at the top left; border: its outermost "
    "pixels. share: of the changed pixels of all successful attempts (n). by chance: the field's "
    "share of the area. " + INTERVAL_NOTE,
    "brightness: mean over the channels, 0 to 255, and over the changed pixels of the field. "
    "extremes: every channel of the new colour is 0 or 255.",
    "Attempts: differential evolution, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), one attack and one seed for each number of pixels; the pixels of one attempt "
    "are not independent of each other.",
)


Size = tuple[int, int]
"""Height and width of an image."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Changed pixels of one field and colour, in images of one size."""

    pixels: int
    field: tuple[int, int]
    is_border: bool
    size: Size
    before: float
    after: float
    is_extreme: bool


def build(request: TableRequest) -> ReportTable:
    """Return the table: for each number of pixels the image, its fields and its border."""
    plans = request.plans_by_pixels(request.evidence.attacked)
    rows = [Row(cells, in_paper=False) for plan in plans for cells in _fields(request, plan)]
    notes = [*NOTES, *(request.elsewhere(request.evidence.attacked, plans[0]) if plans else ())]
    if plans and not rows:
        notes.append("No pixel of a successful attempt is stored.")
    if not plans:
        command = request.attack_command(None)
        rows = [Row(tuple(Cell(None, not_run=command) for _ in COLUMNS), in_paper=False)]
    return request.table(COLUMNS, rows, plans, notes, request.title_about(*plans[:1]))


def _fields(request: TableRequest, plan: Study) -> Iterator[tuple[Cell, ...]]:
    assert plan.attack is not None
    found = request.fetch("pixels", **plan.attempts)
    spots = [_spot(row) for row in found]
    total = sum(spot.pixels for spot in spots)
    sizes: Counter[Size] = Counter()
    for spot in spots:
        sizes[spot.size] += spot.pixels
    if not total:
        return

    def line(name: str, own: Sequence[_Spot], chance: Callable[[Size], float]) -> tuple[Cell, ...]:
        count = sum(spot.pixels for spot in own)
        expected = sum(pixels * chance(size) for size, pixels in sizes.items()) / total
        return (
            Cell(plan.attack.pixels if plan.attack else None),
            Cell(name),
            Cell(count, total),
            rate_cell(count, total, None),
            Cell(100 * expected),
            Cell(_mean(own, lambda spot: spot.before), count),
            Cell(_mean(own, lambda spot: spot.after), count),
            rate_cell(sum(spot.pixels for spot in own if spot.is_extreme), count, None),
        )

    by_field: dict[tuple[int, int], list[_Spot]] = defaultdict(list)
    for spot in spots:
        by_field[spot.field].append(spot)
    yield line("whole image", spots, lambda _: 1.0)
    for band in range(PARTS):
        for strip in range(PARTS):
            own = by_field[band, strip]

            def area(size: Size, place: tuple[int, int] = (band, strip)) -> float:
                rows, columns = (_part(part, side) for part, side in zip(place, size, strict=True))
                return rows * columns

            yield line(f"r{band + 1} c{strip + 1}", own, area)
    yield line("border", [spot for spot in spots if spot.is_border], _border)


def _spot(row: RowValues) -> _Spot:
    before, after = (json.loads(row[side]) for side in ("before", "after"))
    return _Spot(
        pixels=int(row["pixels"]),
        field=(int(row["band"]), int(row["strip"])),
        is_border=bool(row["is_border"]),
        size=(int(row["height"]), int(row["width"])),
        before=sum(before) / len(before),
        after=sum(after) / len(after),
        is_extreme=set(after) <= {0, 255},
    )


def _part(part: int, side: int) -> float:
    """Return the share of a side's pixels that lie in one of its parts, as the query parts it."""
    return sum(PARTS * place // side == part for place in range(side)) / side


def _border(size: Size) -> float:
    height, width = size
    return 1 - max(0, height - 2) * max(0, width - 2) / (height * width)


def _mean(spots: Sequence[_Spot], value: Callable[[_Spot], float]) -> float | None:
    count = sum(spot.pixels for spot in spots)
    return sum(spot.pixels * value(spot) for spot in spots) / count if count else None


FAMILY = Family(
    build,
    title="Where the Successful Pixels Are, and Their Colours",
    pool="attacked",
    of_attempts=True,
)
