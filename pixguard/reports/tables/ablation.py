"""Tables 3 to 5: what denoisers, trained alike, make of noisy test images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pixguard.defences.denoisers.registry import ALWAYS
from pixguard.defences.denoisers.variants import PAPER_DATASET
from pixguard.reports import commands
from pixguard.reports.noise_plans import Member, NoisePlan
from pixguard.reports.published import published_rows, published_table
from pixguard.reports.querying import RowValues
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.tables.denoising import QUALITY, quality_cells
from pixguard.reports.tables.family import Family, Held
from pixguard.reports.tables.request import TableRequest
from pixguard.statistics import mean_interval

PLAN_OF_TABLE = {3: "validate", 4: "ablation", 5: "depth"}
PROPOSED = ("dae", None)
ORIGINAL = ("autoencoder", None)
MEMBERS: Mapping[int, Sequence[Member | None]] = {
    3: (None, ORIGINAL, PROPOSED),
    4: (
        ORIGINAL,
        ("dae", "depth-and-kernels"),
        ("dae", "batch-norm"),
        ("dae", "attention"),
        ("dae", "residual"),
        PROPOSED,
    ),
    5: (("dae", "depth-3"), PROPOSED, ("dae", "depth-5")),
}
"""The denoiser of each published row, in its order; None: a figure quoted from another paper."""

COLUMNS = (Column("model"), *QUALITY, Column("images", "count"))
NOTES = (
    "Means over test images under random-valued impulse noise, the same noise for every model, "
    "against the clean image; data range 0 to 1, PSNR in dB. An infinite PSNR is counted beside "
    "the mean of the others, and is the largest value of the median.",
    "The paper trains on 10,000 images and tests on 2,000 of the same 10,000; here no test image "
    "was trained on.",
    "identity: the noisy image untouched. median: a median filter, nothing trained.",
)
STEPS_NOTE = (
    "A step agrees when the mean difference of PSNR over the same images has the paper's sign, "
    "and its 95 % interval (normal approximation) holds no 0. The interval is over images: each "
    "model was trained once, and another seed may move it by more."
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A published row: its label, its denoiser and the paper's values by column."""

    label: str
    member: Member | None
    values: Mapping[str, float | int]


def _lines(number: int) -> list[_Line]:
    printed = published_table(number)
    if number == 3:  # one column a model
        by_metric = published_rows(3)
        labels = printed["columns"][1:]
        values = [
            {metric.upper(): row[label] for metric, row in by_metric.items()} for label in labels
        ]
        labels = [label[0].upper() + label[1:] for label in labels]
    else:
        labels = [row[0] for row in printed["rows"]]
        names = printed["columns"][1:]
        values = [dict(zip(names, row[1:], strict=True)) for row in printed["rows"]]
    return [_Line(*line) for line in zip(labels, MEMBERS[number], values, strict=True)]


def choose_plan(request: TableRequest, lines: Sequence[_Line]) -> tuple[NoisePlan | None, int]:
    """Return the newest plan with one of the table's denoisers, and how many others there are.

    Real images come before phantoms.
    """
    wanted = {line.member for line in lines}
    fitting = [
        plan
        for plan in request.evidence.noise_plans
        if wanted & set(plan.members)
        and request.dataset in (None, plan.row["dataset"])
        and request.size in (None, plan.row["size"])
    ]

    def rank(plan: NoisePlan) -> tuple[bool, int]:
        newest = max(int(plan.members[m]["newest"]) for m in wanted & set(plan.members) if m)
        return not plan.is_synthetic, newest

    return max(fitting, key=rank, default=None), max(0, len(fitting) - 1)


def build(request: TableRequest) -> ReportTable:
    """Return the table: the published rows in their order, then denoisers without weights."""
    number = int(request.spec.number)
    lines = _lines(number)
    plan, others = choose_plan(request, lines)
    command = _command(request, plan)
    shown = request.paper and (request.dataset in (None, PAPER_DATASET))
    shown = shown and (plan is None or plan.is_papers)
    rows = [_row(request, plan, line, command, shown) for line in lines]
    rows += [_untrained(request, plan, lines, name, command) for name in ALWAYS]
    notes = [*NOTES, *_steps(request, plan, lines)]
    if number == 3:
        notes.append(_table_3_note())
    if others:
        notes.append(f"Other plans with denoisers of this table: {others}; the newest is shown.")
    if request.paper and not shown:
        notes.append("The paper's values are not shown: these are not its images.")
    reference = _reference(plan, lines)
    images = int(reference["images"]) if reference else 0
    caption = (plan.describe(images),) if plan else ("no data yet",)
    title = None if plan is None or plan.is_papers else _other_title(request, plan)
    return replace(request.table(COLUMNS, rows, [], notes, title), caption=caption)


def _other_title(request: TableRequest, plan: NoisePlan) -> str:
    phantom = ", phantom data" if plan.is_synthetic else ""
    name = f"{plan.row['dataset']}{phantom}"
    return f"{request.spec.title}: {name} (form of Table {request.spec.number})"


def _command(request: TableRequest, plan: NoisePlan | None) -> str:
    name = PLAN_OF_TABLE[int(request.spec.number)]
    if plan is None:
        return commands.noise_plan(name, request.dataset or PAPER_DATASET, {}, None)
    row = plan.row
    most = max(int(own["images"]) for own in plan.members.values())
    place = {"source": row["source"], "size": row["size"], "split": row["split_scheme"]}
    settings = {**place, **plan.settings}
    return commands.noise_plan(name, row["dataset"], settings, most)


def _reference(plan: NoisePlan | None, lines: Iterable[_Line]) -> RowValues | None:
    """Return the table's denoiser that restored the most images."""
    found = [plan.members[m] for line in lines if plan and (m := line.member) in plan.members]
    return max(found, key=lambda row: int(row["images"]), default=None)


def _row(
    request: TableRequest, plan: NoisePlan | None, line: _Line, command: str, shown: bool
) -> Row:
    published = {name: line.values.get(name) if shown else None for name in _names()}
    own = plan.members.get(line.member) if plan and line.member else None
    if plan is None or own is None:
        gap = command if line.member else None
        note = "" if line.member else "quoted"
        cells = (
            Cell(None, published=published.get(c.name), not_run=gap, note=note) for c in COLUMNS[1:]
        )
        return Row((Cell(line.label), *cells))
    return Row(_cells(request, plan, line.label, own, own, command, published))


def _untrained(
    request: TableRequest, plan: NoisePlan | None, lines: Sequence[_Line], name: str, command: str
) -> Row:
    own = plan.untrained.get(name) if plan else None
    reference = _reference(plan, lines)
    if plan is None or own is None or reference is None:
        gaps = (Cell(None, not_run=command) for _ in COLUMNS[1:])
        return Row((Cell(name), *gaps), in_paper=False)
    return Row(_cells(request, plan, name, own, reference, command, {}), in_paper=False)


def _cells(
    request: TableRequest,
    plan: NoisePlan,
    label: str,
    own: Mapping[str, object],
    reference: Mapping[str, object],
    command: str,
    published: Mapping[str, float | int | None],
) -> tuple[Cell, ...]:
    (row,) = request.fetch(
        "noise_scores",
        denoiser_id=own["denoiser_id"],
        reference_id=reference["denoiser_id"],
        **plan.noise,
    )
    quality = quality_cells(row, command, int(plan.row["size"]), published.get)
    return (Cell(label), *quality, Cell(int(row["images"])))


def _names() -> list[str]:
    return [column.name for column in QUALITY]


def _steps(request: TableRequest, plan: NoisePlan | None, lines: Sequence[_Line]) -> Iterator[str]:
    """Yield what each step of the table does to the PSNR, here and in the paper."""
    verdicts = []
    for before, after in pairwise(line for line in lines if line.member):
        ids = [plan.members.get(one.member) for one in (before, after) if plan and one.member]
        if plan is None or len(ids) < 2 or None in ids:
            continue
        first, second = (int(own["denoiser_id"]) for own in ids if own)
        (row,) = request.fetch("noise_steps", before_id=first, after_id=second, **plan.noise)
        images = int(row["images"])
        if not images:
            continue
        mean = float(row["mean"])
        paper = after.values["PSNR"] - before.values["PSNR"]
        interval = mean_interval(mean, float(row["squares"]), images)
        verdict = _verdict(interval, paper)
        verdicts.append(verdict)
        low, high = interval or (float("nan"),) * 2
        yield (
            f"{before.label} to {after.label}: PSNR {mean:+.2f} dB ({low:+.2f} to {high:+.2f}, "
            f"{images} images), in the paper {paper:+.2f} dB: {verdict}."
        )
    if verdicts:
        total = sum(line.member is not None for line in lines) - 1
        counts = (
            f"{verdicts.count(v)} {v}"
            for v in ("agrees", "disagrees", "undecided")
            if v in verdicts
        )
        yield f"The paper's order, {len(verdicts)} of {total} steps measured: {', '.join(counts)}."
        yield STEPS_NOTE


def _verdict(interval: tuple[float, float] | None, paper: float) -> str:
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "undecided"
    return "agrees" if (interval[0] > 0) == (paper > 0) else "disagrees"


def _table_3_note() -> str:
    """Return what the paper itself gives the same models in Table 4."""
    elsewhere = {line.member: line.values["PSNR"] for line in _lines(4)}
    pairs = [
        f"{line.label} {line.values['PSNR']} here and {elsewhere[line.member]} there"
        for line in _lines(3)
        if line.member in elsewhere and line.values["PSNR"] != elsewhere[line.member]
    ]
    return f"The paper's Tables 3 and 4 do not agree on the PSNR of one model: {'; '.join(pairs)}."


def _held(request: TableRequest) -> Held:
    """Return the datasets whose denoisers were judged on noise."""
    plans = request.evidence.noise_plans
    own = {plan.row["dataset"] for plan in plans if plan.is_papers}
    return own, {plan.row["dataset"] for plan in plans} - own


FAMILY = Family(build, numbers=(3, 4, 5), tells_gaps=True, held=_held, of_one_classifier=False)
