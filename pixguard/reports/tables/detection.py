"""Table ``detection``: what detectors trained on one class say of the others, and of attacks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pixguard.attacks.registry import ATTACKS
from pixguard.defences.detectors.registry import options_text
from pixguard.records import ANY_CLASS
from pixguard.reports import commands
from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.request import Request
from pixguard.reports.studies import matching
from pixguard.reports.tables.family import Family, Held
from pixguard.reports.tables.request import (
    INTERVAL_NOTE,
    TableRequest,
    rate_cell,
    scaled,
    settings_text,
)
from pixguard.words import pixels_text

COLUMNS = (
    Column("detector"),
    Column("normal"),
    Column("nu", "quantity"),
    Column("to find"),
    Column("images", "count"),
    Column("compared", "count"),
    Column("AUC", "score"),
    Column("found % at 0.1 %", "percent"),
    Column("found % at 1 %", "percent"),
    Column("found % at 5 %", "percent"),
    Column("flagged %", "percent"),
    Column("false alarms %", "percent"),
    Column("fooled %", "percent", show_denominator=True),
    Column("undetected %", "percent", show_denominator=True),
)
PAPER_DATASET = "chest"
"""The one whose imbalance the paper would meet with such a detector (section 5)."""
PAPER_DETECTOR = "one-class-svm"
EVERYTHING_ELSE = "all others"
NO_OTHERS = "no test images"
UNATTACKED = (Cell(None), Cell(None))
FEWEST_COMPARED = {"0_1": 1000, "1": 100, "5": 20}
"""Images that a share of false alarms in percent takes: fewer, and it is less than one of them."""
TOO_FEW = "too few to compare"
NOTES = (
    "A detector was given images of the normal class alone: one-class-svm, an autoencoder and an "
    "SVM; repair, vae and trigger look for changed pixels and by default know any class. to find: "
    "test images of another class (in the row of each of its labels), or attacked ones; images: "
    "how many. compared: normal test images, or for an attack the same images before it.",
    "AUC: the chance that an image to find scores higher than a compared one, ties half; 0.5 is "
    "guessing. found at 0.1 %, 1 %, 5 %: with the lowest threshold that at most that share of the "
    "compared images reach; it is set on these very test images.",
    "flagged, false alarms: at the detector's own threshold, of the images to find, and of the "
    "compared. nu bounds the alarms among the images that an SVM was fitted to, false_alarms those "
    f"among the validation images; neither those among new ones. {INTERVAL_NOTE}",
)
TOO_FEW_NOTE = (
    f"{TOO_FEW}: 0.1 % of fewer than 1,000 images, 1 % of fewer than {FEWEST_COMPARED['1']}, and "
    f"5 % of fewer than {FEWEST_COMPARED['5']}, is less than one image."
)
ATTACKS_NOTE = (
    "Attacked: attempts that succeeded, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0); one attack and one seed a row."
)
UNDETECTED_NOTE = (
    "undetected: of the images attacked with the detector known, those that fooled the classifier "
    "without an alarm; fooled: of the same images, those that fell to the same attack without it. "
    "Clean images that raise an alarm are not attacked. Only this says what a detector withstands."
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: for each detector of a dataset a row a class, then a row an attack."""
    pool = [
        row
        for row in request.evidence.detectors
        if request.dataset in (None, row["dataset"]) and request.size in (None, row["size"])
    ]
    chosen, others = detectors_of_one_dataset(pool)
    rows = [Row(cells, in_paper=False) for row in chosen for cells in _rows(request, row)]
    if not chosen:
        command = commands.train_detector(wanted_dataset(request))
        head = (Cell(PAPER_DETECTOR), Cell(None), Cell(None), Cell(EVERYTHING_ELSE))
        rows = [Row(_gaps(head, command), in_paper=False)]
    said = {cell.note for row in rows for cell in row.cells}
    notes = [*NOTES, *([TOO_FEW_NOTE] if TOO_FEW in said else [])]
    notes += [ATTACKS_NOTE, UNDETECTED_NOTE] if _has_attacks(rows) else []
    notes += [f"There is data for {other} too." for other in others]
    title = request.spec.title
    caption: tuple[str, ...] = ("no data yet",)
    if chosen:
        phantom = ", phantom data" if chosen[0]["source"] == SYNTHETIC_SOURCE else ""
        title += f": {chosen[0]['dataset']}{phantom}"
        caption = detector_caption(chosen)
    return replace(request.table(COLUMNS, rows, [], notes, title), caption=caption)


def detectors_of_one_dataset(pool: Sequence[RowValues]) -> tuple[list[RowValues], list[str]]:
    """Return the detectors of the dataset to show, and the others' datasets in a few words.

    Detectors that have scored images come before those that have not, real images before phantoms,
    newer detectors before older ones.
    """

    def rank(row: RowValues) -> tuple[bool, bool, int]:
        return row["scored"] > 0, row["source"] != SYNTHETIC_SOURCE, row["detector_id"]

    best = max(pool, key=rank, default=None)
    if best is None:
        return [], []
    shown = [row for row in pool if row["dataset_id"] == best["dataset_id"]]
    others = {
        row["dataset_id"]: f"{row['dataset']}, {row['source']} (--dataset {row['dataset']} "
        f"--size {row['size']})"
        for row in pool
        if row not in shown
    }
    return shown, list(others.values())


def wanted_dataset(request: Request[Any]) -> str:
    """Return the dataset for which a detector would be trained."""
    known = matching(request.evidence.classifiers, model=request.model, size=request.size)
    return request.dataset or (known[-1].dataset if known else PAPER_DATASET)


def detector_caption(chosen: Sequence[RowValues]) -> tuple[str, ...]:
    """Return the lines on the dataset of detectors, and on the training of each."""
    first = chosen[0]
    phantom = "; phantom data: synthetic, not the paper's"
    about = (
        f"{first['dataset']}: source {first['source']}, {first['size']} x {first['size']} pixels, "
        f"version {first['version']}, split {first['split_scheme']} (seed {first['split_seed']}), "
        f"test images" + phantom * (first["source"] == SYNTHETIC_SOURCE)
    )
    return (about, *map(_training, chosen))


def _training(row: RowValues) -> str:
    trained = json.loads(row["hyperparameters"])
    options = options_text(row["architecture"], trained)
    return (
        f"{detector_name(row)} (weights {row['weights_sha256'][:8]}): "
        f"normal class {trained['normal']}, {trained['training_images']} training images, "
        f"{trained['epochs']} epochs{options}, seed {trained['seed']}"
    )


def detector_name(row: RowValues) -> str:
    """Return architecture and id."""
    return f"{row['architecture']} #{row['detector_id']}"


def _rows(request: TableRequest, detector: RowValues) -> Iterator[tuple[Cell, ...]]:
    trained = json.loads(detector["hyperparameters"])
    head = (Cell(detector_name(detector)), Cell(trained["normal"]), Cell(trained.get("nu")))
    if not detector["scored"]:
        command = commands.apply_detector(detector["dataset"], detector["detector_id"])
        yield _gaps((*head, Cell(EVERYTHING_ELSE)), command)
        return
    known_all = trained["normal"] == ANY_CLASS  # then there is no other class to find
    classes = (
        []
        if known_all
        else request.fetch(
            "detection",
            detector_id=detector["detector_id"],
            dataset_id=detector["dataset_id"],
            normal=trained["normal"],
        )
    )
    if not classes and not known_all:
        nothing = (Cell(None, 0, note=NO_OTHERS) for _ in COLUMNS[5:-2])
        yield (*head, Cell(EVERYTHING_ELSE), Cell(0), *nothing, *UNATTACKED)
    if len(classes) == 2 and classes[0]["images"] == classes[1]["images"]:
        del classes[1]  # all others are that one class
    for row in classes:
        yield (*head, Cell(row["class"] or EVERYTHING_ELSE), *_figures(row), *UNATTACKED)
    yield from _attack_rows(request, detector, head)


def _attack_rows(
    request: TableRequest, detector: RowValues, head: tuple[Cell, ...]
) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for each attack whose images it scored, or that it was attacked with."""
    number, dataset = detector["detector_id"], detector["dataset"]
    scored, adaptive = (
        {
            tuple(row[name] for name in ("classifier_id", "attack_id", "seed")): row
            for row in request.fetch(query, detector_id=number)
            if request.model in (None, row["classifier_id"], row["classifier"])
        }
        for query in ("detection_attacks", "detection_undetected")
    )
    for key in dict.fromkeys([*scored, *adaptive]):
        row = scored.get(key) or adaptive[key]
        bare, watched = (
            commands.attack(
                dataset,
                row["pixels"],
                key[0],
                row["attack"],
                None,
                key[2],
                by,
                settings=json.loads(row["settings"] or "{}"),
            )
            for by in (None, number)
        )
        figures = _gaps((), commands.apply_detector(dataset, number))[len(head) + 1 : -2]
        undetected = UNATTACKED
        if key in scored:
            figures = _figures(row)
        if key in adaptive:
            found = adaptive[key]
            undetected = (
                rate_cell(int(found["fooled"] or 0), int(found["shared"]), None, not_run=bare),
                rate_cell(int(found["undetected"]), int(found["tried"]), None),
            )
        elif not ATTACKS[row["attack"]].descends:
            undetected = (Cell(None), Cell(None, not_run=watched))
        yield (*head, Cell(_attacked(row)), *figures, *undetected)


def _attacked(row: RowValues) -> str:
    settings = settings_text(row["parameters"])
    return (
        f"attacked: {row['attack']}, {pixels_text(row['pixels'])}, "
        f"{settings or 'no parameters'}, seed {row['seed']}, {row['classifier']} "
        f"#{row['classifier_id']}"
    )


def _has_attacks(rows: Sequence[Row]) -> bool:
    return any(str(row.cells[3].value).startswith("attacked: ") for row in rows)


def _gaps(head: tuple[Cell, ...], command: str) -> tuple[Cell, ...]:
    return (*head, *(Cell(None, not_run=command) for _ in COLUMNS[len(head) :]))


def _figures(row: RowValues) -> tuple[Cell, ...]:
    images, compared = int(row["images"]), int(row["compared"])
    auc = Cell(None, 0, note=TOO_FEW)
    if compared:
        auc = Cell((scaled(row["beaten"]) or 0.0) / (images * compared), images * compared)
    found = (
        rate_cell(int(row[f"found_at_{share}"]), images, None)
        if compared >= fewest
        else Cell(None, 0, note=TOO_FEW)
        for share, fewest in FEWEST_COMPARED.items()
    )
    return (
        Cell(images),
        Cell(compared),
        auc,
        *found,
        rate_cell(int(row["flagged"]), images, None),
        rate_cell(int(row["compared_flagged"]), compared, None),
    )


def _held(request: TableRequest) -> Held:
    """Return the datasets with detectors that scored something; the paper has none."""
    return set(), {row["dataset"] for row in request.evidence.detectors if row["scored"]}


FAMILY = Family(
    build,
    title="What Detectors Trained on One Class Tell from It",
    held=_held,
    of_attempts=True,
    of_one_classifier=False,
)
