"""Which labels attacks switched: what the tables labels, label-sets and severity are made of."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pixguard.records import NO_FINDING_ORDINAL, decode_label_set
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import AttackPlan, Study
from pixguard.reports.tables.request import TableRequest

ANY, NAMED = "any label", "each target"
"""What attempts aim at: whatever label flips first, or the target that was named."""
FEW = 30
"""Images below which the normal approximation of a mean's interval is a rough one."""
SAMPLE_NOTE = (
    "Intervals take images for independent; several of one patient, lesion or person are not, and "
    "make them wider than is shown."
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt: its image's id and true label set, its target, the labels before and after."""

    image: int
    label_set: str
    target: int | None
    success: bool
    before: frozenset[int]
    after: frozenset[int]

    @property
    def missed(self) -> frozenset[int]:
        """The labels that were given, and are no more."""
        return self.before - self.after

    @property
    def false(self) -> frozenset[int]:
        """The labels that are given, and were not."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Aim:
    """The attempts of one attack and seed on one classifier, with one kind of aim."""

    study: Study
    aim: str
    pixels: int
    attempts: Sequence[Attempt]


def aims(request: TableRequest) -> list[Aim]:
    """Return the attacks that a table shows: of one classifier, one a number of pixels and aim.

    The paper's attack, or one that was selected, comes before others, then that of most attempts.
    """
    study = request.find_study(request.evidence.attempted)
    if study is None:
        return []
    rows = request.fetch(
        "label_flips", classifier_id=study.classifier_id, dataset_id=study.dataset_id
    )
    groups: dict[tuple[int, str, int, int], list[RowValues]] = defaultdict(list)
    for row in rows:
        aim = ANY if row["target"] is None else NAMED
        groups[row["pixels"], aim, row["attack_id"], row["seed"]].append(row)
    shown: dict[tuple[int, str], Aim] = {}
    for (pixels, aim, _, _), own in groups.items():
        found = _aim(study, aim, own)
        known = shown.get((pixels, aim))
        if known is None or _rank(request, found) > _rank(request, known):
            shown[pixels, aim] = found
    return [shown[key] for key in sorted(shown)]


def label_names(request: TableRequest, study: Study) -> dict[int, str]:
    """Return the names of a dataset's labels by ordinal, that of none among them."""
    known = request.fetch("classes", dataset_id=study.dataset_id)
    return {int(row["ordinal"]): row["class"] for row in known}


def support(request: TableRequest, study: Study) -> Iterator[tuple[str, str, int]]:
    """Yield true label set, decided one and number of the judged test images."""
    ids = {"classifier_id": study.classifier_id, "dataset_id": study.dataset_id}
    for row in request.fetch_all("label_support", **ids):
        yield row["label_set"], row["predicted"], int(row["images"])


def labels_of(names: dict[int, str]) -> dict[int, str]:
    """Return the names without that of no label."""
    return {ordinal: name for ordinal, name in names.items() if ordinal != NO_FINDING_ORDINAL}


def _aim(study: Study, aim: str, rows: Sequence[RowValues]) -> Aim:
    attempts = [
        Attempt(
            row["image_id"],
            row["label_set"],
            row["target"],
            bool(row["success"]),
            frozenset(decode_label_set(row["before"])),
            frozenset(decode_label_set(row["after"])),
        )
        for row in rows
    ]
    first, images = rows[0], len({attempt.image for attempt in attempts})
    plan = AttackPlan(
        attack_id=first["attack_id"],
        name=first["attack"],
        version=first["version"],
        pixels=first["pixels"],
        parameters=first["parameters"],
        seed=first["seed"],
        images=images,
        counted="images attacked",
        successes=sum(attempt.success for attempt in attempts),
    )
    return Aim(replace(study, attack=plan), aim, first["pixels"], attempts)


def _rank(request: TableRequest, aim: Aim) -> tuple[bool, int, int, int]:
    plan = aim.study.attack
    assert plan is not None
    return plan.name in request.evidence.attacks, len(aim.attempts), plan.attack_id, -plan.seed


def flip_table(
    request: TableRequest,
    found: Sequence[Aim],
    lines: Iterable[tuple[Cell, ...]],
    columns: tuple[Column, ...],
    notes: Sequence[str],
) -> ReportTable:
    """Return a table of lines about attempts; without any, one that names the command."""
    rows = [Row(cells, in_paper=False) for cells in lines]
    if not found:
        command = request.attack_command(None)
        rows = [Row(tuple(Cell(None, not_run=command) for _ in columns), in_paper=False)]
    studies = [aim.study for aim in found]
    return request.table(columns, rows, studies, notes, request.title_about(*studies[:1]))
