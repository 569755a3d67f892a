"""Table ``least-flips``: how visible a change of one pixel must be to flip an image."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from pixguard.records import PIXEL_MAP, Flip, PixelMap, decode_label_set
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, rate_cell
from pixguard.words import shell_word

WITHIN = (32, 64, 128)
"""Changes, in levels, of which the table tells how many images they flip."""
COLUMNS = (
    Column("class"),
    Column("images", "count"),
    Column("vulnerable", "count"),
    *(Column(f"flipped within {most} %", "percent") for most in WITHIN),
    Column("median least change", "quantity"),
    Column("median harmless change", "quantity"),
    Column("median confidence %, least change", "percent"),
    Column("median confidence %, surest flip", "percent"),
)
ALL = "all"
NOTES = (
    "images: surveyed pixel by pixel (certify pixels), all rightly classified. change: "
    "how many of 255 levels the channel of the one changed pixel that changes most does. flipped "
    "within: by a change of at most so many levels, of all images; at most that many where a "
    "smaller flip is neither known nor ruled out. " + INTERVAL_NOTE,
    "Over the vulnerable images: least change that flips, known exactly in grayscale, in colour "
    "the least that was found; harmless change: up to that many levels no change flips, proven. "
    "confidence: in the wrong decision, with the flip of least change, and with the surest that is "
    "known. The flips between the two, none beaten in both, are in `pixguard db export truth`.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: one row a class, and all images."""
    study = request.find_study(request.evidence.surveyed)
    title = request.title_about(*([study] if study else []))
    maps = {} if study is None else fullest_maps(_kept(request, study))
    if study is None or not maps:
        name = request.dataset or (study.dataset if study else None) or request.default_dataset()
        command = f"pixguard certify pixels --dataset {shell_word(name)} --limit 25"
        cells = (Cell(ALL), *(Cell(None, not_run=command) for _ in COLUMNS[1:]))
        return request.table(COLUMNS, [Row(cells, in_paper=False)], [], NOTES, title)
    names = {row["code"]: row["class"] for row in _classes(request, study)}
    groups = defaultdict(list)
    for label_set, found in maps.values():
        groups[label_set].append(found)
    rows = [_cells(names.get(code, code), groups[code]) for code in sorted(groups)]
    rows.append(_cells(ALL, [found for own in groups.values() for found in own]))
    return request.table(
        COLUMNS,
        [Row(cells, in_paper=False) for cells in rows],
        [replace(study, attack=None)],
        NOTES,
        title,
    )


def _kept(request: TableRequest, study: Study) -> Sequence[RowValues]:
    place = {"classifier_id": study.classifier_id, "dataset_id": study.dataset_id}
    return request.fetch_all("truth_maps", method=f"{PIXEL_MAP} %", **place)


def _classes(request: TableRequest, study: Study) -> Iterator[dict[str, str]]:
    for row in request.fetch("classes", dataset_id=study.dataset_id):
        ordinal = int(row["ordinal"])
        yield {"code": "" if ordinal < 0 else str(ordinal), "class": row["class"]}


def fullest_maps(rows: Sequence[RowValues]) -> dict[int, tuple[str, PixelMap]]:
    """Return image id -> true label set and map; of several the one that left least open.

    Args:
        rows: of the query ``truth_maps``.
    """
    found: dict[int, tuple[str, PixelMap]] = {}
    for row in rows:
        known = PixelMap.read(
            json.loads(row["votes"]),
            image_index=0,
            method=row["method"],
            predicted=decode_label_set(row["predicted"]),
        )
        before = found.get(row["image_id"])
        if before is None or len(known.open) < len(before[1].open):
            found[row["image_id"]] = row["label_set"], known
    return found


def _cells(name: str, maps: Sequence[PixelMap]) -> tuple[Cell, ...]:
    least = [(m, change) for m in maps if (change := m.least_change) is not None]
    count = len(least)

    def middle(values: Sequence[float]) -> Cell:
        return Cell(median(values) if values else None, count)

    return (
        Cell(name),
        Cell(len(maps)),
        Cell(count, len(maps)),
        *(_within(maps, most) for most in WITHIN),
        middle([change for _, change in least]),
        middle([m.harmless for m, _ in least]),
        middle([100 * _confidence(m, change) for m, change in least]),
        middle([100 * max(flip.confidence for flip in _flips(m)) for m, _ in least]),
    )


def _within(maps: Sequence[PixelMap], most: int) -> Cell:
    known = sum((m.least_change or 256) <= most for m in maps)
    # Neither is a flip of so small a change known, nor is it proven that there is none.
    doubtful = sum((m.least_change or 256) > most > m.harmless for m in maps)
    cell = rate_cell(known, len(maps), None)
    if not doubtful:
        return cell
    return replace(cell, note=f"at most {100 * (known + doubtful) / len(maps):.2f}")


def _flips(known: PixelMap) -> list[Flip]:
    return [*known.front, *(pixel.flip for pixel in known.fooled)]


def _confidence(known: PixelMap, change: int) -> float:
    return max(flip.confidence for flip in _flips(known) if flip.change == change)


FAMILY = Family(build, title="How Visible a One-Pixel Change Must Be", own="least-flips")
