"""Table ``certified``: what changed pixels provably cannot move, beside a plain classifier."""

import json
from collections.abc import Iterator

from pixguard.records import CERTIFIED, POLYPHASE_VOTE
from pixguard.reports import commands
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import paper_datasets
from pixguard.reports.studies import Study, choose, matching
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import INTERVAL_NOTE, TableRequest, rate_cell

PIXELS = (1, 2)
COLUMNS = (
    Column("dataset"),
    Column("data"),
    Column("classifier"),
    Column("votes", "count"),
    Column("images", "count"),
    Column("clean accuracy %", "percent"),
    Column("certified at 1 pixel %", "percent"),
    Column("certified at 2 pixels %", "percent"),
    Column("median radius", "quantity"),
    Column("withstood 1 pixel %", "percent", show_denominator=True),
    Column("withstood 2 pixels %", "percent", show_denominator=True),
    Column("refuted", "count"),
)
NOTES = (
    "certified at k pixels: right, and provably so for every image that differs in at most k "
    "pixels, of any colours; a share of all images. radius: the largest such k, of right and wrong "
    "decisions alike. " + INTERVAL_NOTE,
    "withstood k pixels: of the images attacked with k pixels, which were right, those that no "
    "attempt of k pixels or fewer fooled: all attacks, targets, repeats and seeds, on the bare "
    "classifier. It is what these attacks found, an upper bound, where certified is a lower one.",
    "refuted: images fooled by no more pixels than their radius; one would be a fault in pixguard. "
    "But a radius of randomised-ablation is statistical: it holds with a confidence of 95 % for "
    "each image, and of the smoothed classifier, which decisions are an estimate of.",
    "votes: sub-images that vote, masks, or the ablations of a certificate. Below each certified "
    "classifier stands the newest plain one of its dataset, on the same images; nothing is certain "
    "about it.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each certified classifier, and one for the plain one beside."""
    votes = [
        c for c in request.studies(request.evidence.classifiers) if c.architecture in CERTIFIED
    ]
    votes.sort(key=lambda c: (c.dataset, c.classifier_id))
    used: list[Study] = []
    rows: list[Row] = []
    for vote in votes:
        plain = _plain(request, vote)
        used += [vote] if plain is None else [vote, plain]
        rows += [Row(cells, in_paper=False) for cells in _pair(request, vote, plain)]
    if not votes:
        dataset = request.dataset or _any_dataset(request)
        gaps = (Cell(None, not_run=commands.certify(dataset, None)) for _ in COLUMNS[4:])
        head = (Cell(dataset), Cell(None), Cell(POLYPHASE_VOTE), Cell(None))
        rows = [Row((*head, *gaps), in_paper=False)]
    return request.table(COLUMNS, rows, used, NOTES)


def _any_dataset(request: TableRequest) -> str:
    newest = choose(matching(request.evidence.classifiers, size=request.size), None)
    return newest.dataset if newest else next(iter(paper_datasets()))


def _plain(request: TableRequest, vote: Study) -> Study | None:
    """Return the newest classifier of the same dataset that is not certified."""
    pool = [
        c
        for c in request.evidence.judged
        if c.dataset_id == vote.dataset_id and c.architecture not in CERTIFIED
    ]
    return choose(pool, None)


def _pair(request: TableRequest, vote: Study, plain: Study | None) -> Iterator[tuple[Cell, ...]]:
    (row,) = request.fetch(
        "certified",
        classifier_id=vote.classifier_id,
        plain_id=plain.classifier_id if plain else 0,
        method=vote.architecture,
    )
    images = int(row["images"])
    head = (Cell(vote.dataset), Cell(vote.data), Cell(vote.classifier))
    parameters = json.loads(row["parameters"])
    votes = Cell(parameters["stride"] ** 2 if "stride" in parameters else parameters["samples"])
    if not images:
        command = commands.certify(vote.dataset, vote.classifier_id)
        yield (*head, votes, *(Cell(None, not_run=command) for _ in COLUMNS[4:]))
        return
    shares = ("clean_right", "certain_1", "certain_2")
    yield (
        *head,
        votes,
        Cell(images),
        *(rate_cell(int(row[name] or 0), images, None) for name in shares),
        Cell(float(row["median_radius"]), images),
        *_withstood(row, "", vote),
        Cell(int(row["refuted"] or 0), images),
    )
    yield _plain_row(row, vote, plain)


def _plain_row(row: RowValues, vote: Study, plain: Study | None) -> tuple[Cell, ...]:
    nothing = Cell(None)
    if plain is None:
        gap = Cell(None, not_run=commands.train(vote.dataset, None))
        head = (Cell(vote.dataset), Cell(vote.data), Cell("plain"), nothing)
        return (*head, gap, gap, nothing, nothing, nothing, gap, gap, nothing)
    images = int(row["plain_images"])
    return (
        Cell(plain.dataset),
        Cell(plain.data),
        Cell(plain.classifier),
        nothing,
        Cell(images),
        rate_cell(int(row["plain_right"] or 0), images, None),
        nothing,
        nothing,
        nothing,
        *_withstood(row, "plain_", plain),
        nothing,
    )


def _withstood(row: RowValues, kind: str, classifier: Study) -> tuple[Cell, ...]:
    """Return the shares of attacked images that were not fooled, by number of pixels."""
    cells = []
    for pixels in PIXELS:
        tried, fooled = (int(row[f"{kind}{what}_{pixels}"] or 0) for what in ("tried", "fooled"))
        command = commands.attack(classifier.dataset, pixels, classifier.classifier_id)
        cells.append(rate_cell(tried - fooled, tried, None, not_run=command))
    return tuple(cells)


FAMILY = Family(build, title="Certified Accuracy at Changed Pixels", pool="certified")
