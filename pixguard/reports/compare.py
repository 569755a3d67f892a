"""Two plans, denoisers or classifiers compared image by image, on what both have done."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pixguard.errors import UsageError
from pixguard.reports.incomplete import plan_note
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.report_table import Cell, Column, Query, ReportTable, Row
from pixguard.reports.tables.request import INTERVAL_NOTE, rate_cell, settings_text
from pixguard.statistics import mcnemar, paired_interval
from pixguard.store import reader
from pixguard.words import pixels_text

if TYPE_CHECKING:
    from sqlalchemy import Engine

COLUMNS = (
    Column("compared"),
    Column("pairs", "count"),
    Column("first %", "percent"),
    Column("second %", "percent"),
    Column("both", "count"),
    Column("only first", "count"),
    Column("only second", "count"),
    Column("neither", "count"),
    Column("difference", "percent"),
    Column("p", "error"),
    Column("left out, first", "count"),
    Column("left out, second", "count"),
)
CHANGED = (
    Column("compared"),
    Column("dataset"),
    Column("image", "count", is_label=True),
    Column("true label"),
    Column("of"),
    Column("first"),
    Column("second"),
    Column("first decides"),
    Column("second decides"),
)
NOTES = (
    "pairs: what both have done, all figures are over these; left out: what only one has done. "
    "both, neither, only first, only second: on which of them it came out so.",
    "difference: first minus second in percentage points, with its 95 % interval for paired shares "
    "(Newcombe 1998, method 10). p: exact two-sided McNemar test on the pairs that differ. "
    + INTERVAL_NOTE,
)
SAMPLE_NOTE = (
    "Of a plan that is not finished, its finished beginning counts, an unbiased sample: its order "
    "is drawn at random, and successes end early. First repeats alone count."
)
RIGHT_NOTE = (
    "A classifier is attacked on images that it gets right: compared are images that both get "
    "right, which says nothing of the others."
)
CLUSTER_NOTE = (
    "There are several pairs of one image, which are not independent; p and the interval take them "
    "as if they were, and are too narrow."
)
MEANINGS = ("goal", "success", "at", "resize")
"""Parameters of an attack that say what a success is, and of what."""
_KINDS = ("plan", "run", "model")


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two; ``queries`` are by what each of them compares."""

    name: str
    told: str
    kind: str
    queries: Mapping[str, Query]
    meaning: Mapping[str, Any]
    classifier_id: int = 0
    plan: tuple[int, int, int, int] | None = None


def compare(engine: "Engine", first: str, second: str) -> list[ReportTable]:
    """Return a table of the paired counts, and one of the images on which the two differ.

    Args:
        engine: an open database.
        first: a plan (``3``, ``plan:3``), the plan of a run (``run:12``) or a model (``model:4``).
        second: likewise.

    Raises:
        UsageError: there is no such thing; the two do not count the same; or they have no image in
            common.
    """
    one, other = _side(engine, first), _side(engine, second)
    if one.queries == other.queries:
        raise UsageError(f"{first} and {second} are the same", "name two that differ")
    if one.kind != other.kind:
        raise UsageError(
            f"{first} is of {one.kind}, {second} of {other.kind}", "name two of a kind"
        )
    if one.meaning != other.meaning:
        differing = [k for k in MEANINGS if one.meaning.get(k) != other.meaning.get(k)]
        words = (f"{k} {one.meaning.get(k)} and {other.meaning.get(k)}" for k in differing)
        raise UsageError(
            f"{first} and {second} do not count the same: {', '.join(words)}",
            "compare plans with the same meaning of success: pixguard status lists them",
        )
    rows, changed, notes = list[Row](), list[Row](), list[str]()
    names = _label_names(engine)
    for what in one.queries:
        by_group = [_outcomes(engine, what, side.queries[what]) for side in (one, other)]
        for group in sorted(by_group[0].keys() & by_group[1].keys()):
            pairs = _Pairs(by_group[0][group], by_group[1][group])
            if not pairs.found:
                continue
            rows.append(Row((Cell(group), *pairs.cells()), in_paper=False))
            changed += [Row((Cell(group), *c), in_paper=False) for c in pairs.changed(names)]
            notes += [CLUSTER_NOTE] * pairs.is_clustered
    if not rows:
        raise UsageError(
            f"{first} and {second} have no image in common: {one.told}; {other.told}",
            "pixguard status and pixguard models list tell what there is",
        )
    notes = list(dict.fromkeys([*notes, *_told_of(engine, one, other)]))
    queries = tuple(query for side in (one, other) for query in side.queries.values())
    caption = (f"first: {one.told}", f"second: {other.told}")
    title = f"{one.name} and {other.name} on the Same Images"
    shared: dict[str, Any] = {"caption": caption, "queries": queries}
    return [
        ReportTable("compare", title, COLUMNS, tuple(rows), notes=(*NOTES, *notes), **shared),
        ReportTable(
            "compare-images",
            f"Images on Which {one.name} and {other.name} Differ",
            CHANGED,
            tuple(changed),
            notes=() if changed else ("They differ on none.",),
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The outcomes of both, by what was done: image, and target or attempt."""

    first: Mapping[tuple[Any, ...], RowValues]
    second: Mapping[tuple[Any, ...], RowValues]

    @property
    def found(self) -> list[tuple[RowValues, RowValues]]:
        return [(row, self.second[key]) for key, row in self.first.items() if key in self.second]

    @property
    def is_clustered(self) -> bool:
        pairs = self.found
        return len({one["image_id"] for one, _ in pairs}) < len(pairs)

    def cells(self) -> tuple[Cell, ...]:
        pairs = self.found
        counts = Counter((int(one["outcome"]), int(other["outcome"])) for one, other in pairs)
        both, only_first, only_second = (counts[key] for key in ((1, 1), (1, 0), (0, 1)))
        count, neither = len(pairs), counts[0, 0]
        interval = paired_interval(both, only_first, only_second, neither)
        assert interval is not None
        return (
            Cell(count),
            rate_cell(both + only_first, count, None),
            rate_cell(both + only_second, count, None),
            *(Cell(n, count) for n in (both, only_first, only_second, neither)),
            Cell(
                100 * (only_first - only_second) / count,
                count,
                (100 * interval[0], 100 * interval[1]),
            ),
            Cell(mcnemar(only_first, only_second), only_first + only_second),
            Cell(len(self.first) - count),
            Cell(len(self.second) - count),
        )

    def changed(self, names: Mapping[tuple[int, str], str]) -> Iterator[tuple[Cell, ...]]:
        for one, other in self.found:
            if one["outcome"] == other["outcome"]:
                continue

            def label(code: str, dataset_id: int = one["dataset_id"]) -> Cell:
                return Cell(names.get((dataset_id, code), code))

            yield (
                Cell(names[one["dataset_id"], "dataset"]),
                Cell(one["dataset_index"]),
                label(one["label_set"]),
                Cell(one["part_name"]),
                *(Cell("yes" if row["outcome"] else "no") for row in (one, other)),
                *(label(row["predicted"]) for row in (one, other)),
            )


def _outcomes(
    engine: "Engine", what: str, query: Query
) -> dict[str, dict[tuple[Any, ...], RowValues]]:
    """Return what came of each image, by what rates may be taken over: one attack, one classifier.

    There by the image, and the target or the attempt.
    """
    found: dict[str, dict[tuple[Any, ...], RowValues]] = defaultdict(dict)
    for row in fetch(engine, query):
        kind, group = "target", what
        if "classifier" in row:
            group = f"{what}, {row['classifier']} #{row['classifier_id']}"
            kind = "attempt"
            if row["attack"]:
                group += f", {row['attack']} #{row['attack_id']}, {pixels_text(row['pixels'])}"
                group += f", seed {row['seed']}"
        row["part_name"] = None if row["part"] is None else f"{kind} {row['part']}"
        found[group][row["image_id"], row["part"]] = row
    return found


def _side(engine: "Engine", selector: str) -> _Side:
    found = re.fullmatch(r"(?:(plan|run|model):)?(\d{1,18})", selector)
    if found is None:
        raise UsageError(
            f"{selector!r} is nothing to compare",
            "plan:N (of pixguard status), run:N (of pixguard db info) or model:N",
        )
    kind, number = found[1] or "plan", int(found[2])
    return (_model if kind == "model" else _attack)(engine, kind, number)


def _model(engine: "Engine", kind: str, number: int) -> _Side:
    known = {m.id: m for m in reader.models(engine) if m.record.kind != "detector"}
    if number not in known:
        there = ", ".join(f"{m.id} ({m.record.architecture})" for m in known.values()) or "none"
        raise UsageError(f"there is no such {kind} as {number}; there is {there}")
    model = known[number]
    name = f"{model.record.architecture} #{number}"
    told = f"{model.record.kind} {name}, of {model.dataset_name}"
    if model.record.kind == "classifier":
        query = make_query("compare_predictions", model_id=number)
        queries = {"right about test images": query}
    else:
        queries = {
            what: make_query("compare_restorations", model_id=number, is_attacked=is_attacked)
            for what, is_attacked in (("recovered, attacked", 1), ("right, clean", 0))
        }
    return _Side(name, told, f"a {model.record.kind}", queries, {})


def _attack(engine: "Engine", kind: str, number: int) -> _Side:
    wanted = {"plan_id": 0, "run_id": 0, f"{kind}_id": number}
    found = fetch(engine, make_query("compare_sides", **wanted))
    if not found:
        raise UsageError(
            f"there is no {kind} {number} with attempts",
            "pixguard status lists plans, pixguard db info runs",
        )
    if len(found) > 1:
        raise UsageError(f"{kind} {number} made attempts of several plans", "name one: plan:N")
    (row,) = found
    ids = {key: int(row[key]) for key in ("model_id", "attack_id", "seed", "through_model_id")}
    parameters = json.loads(row["parameters"])
    through = f", through {row['through']} #{ids['through_model_id']}" if row["through"] else ""
    pixels = pixels_text(row["pixels"])
    return _Side(
        f"{kind.capitalize()} {number}",
        f"{row['attack']} v{row['version']}, {pixels}, {settings_text(row['parameters'])}, seed "
        f"{row['seed']}{through}, on {row['architecture']} #{row['model_id']}",
        "a plan",
        {
            "attack succeeded": make_query(
                "compare_attempts", **ids, is_targeted=int(row["is_targeted"])
            )
        },
        {name: parameters[name] for name in MEANINGS if name in parameters},
        ids["model_id"],
        (ids["model_id"], ids["attack_id"], ids["seed"], ids["through_model_id"]),
    )


def _told_of(engine: "Engine", one: _Side, other: _Side) -> Iterator[str]:
    """Yield what must be said of what the two are compared on."""
    if one.kind == "a classifier":
        return
    yield SAMPLE_NOTE
    if one.classifier_id != other.classifier_id:
        yield RIGHT_NOTE
    sides: Sequence[Any] = (one.plan, other.plan)
    for row in fetch(engine, make_query("plans", finished=0)):
        ids = row["classifier_id"], row["attack_id"], row["seed"], row["through_model_id"] or 0
        if ids in sides:
            yield plan_note(row)


def _label_names(engine: "Engine") -> dict[tuple[int, str], str]:
    """Return (dataset id, code) -> a class's name, and with ``dataset`` the dataset's."""
    found = {}
    for stored in reader.datasets(engine):
        found[stored.id, "dataset"] = stored.info.name
        found |= {(stored.id, c.code): c.name for c in stored.info.classes}
    return found
