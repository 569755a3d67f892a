"""Table ``paired``: two denoisers on the same images, by Wilcoxon's signed-rank test."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations

from pixguard.metrics import METRICS
from pixguard.reports import commands
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.studies import Study
from pixguard.reports.tables.family import Family
from pixguard.reports.tables.request import TableRequest, changed_cell
from pixguard.statistics import SignedRank, holm, signed_rank

COLUMNS = (
    Column("pixels", "count", is_label=True),
    Column("metric"),
    Column("first"),
    Column("second"),
    Column("pairs", "count"),
    Column("equal", "count"),
    Column("median difference", "quantity"),
    Column("effect r", "score"),
    Column("p", "error"),
    Column("p (Holm)", "error"),
    Column("better"),
)
LEVEL = 0.05
_LESS = " and ".join(m.name.upper() for m in METRICS if not m.higher_is_better)
UNDECIDED = "undecided"
NOTES = (
    "pairs: images that were attacked with success and restored by both; equal: those where both "
    "have the same value. Differences are first minus second; their median is over all pairs.",
    "p: two-sided Wilcoxon signed-rank test over the pairs that differ; an infinite PSNR ranks "
    "above every finite one. p (Holm): corrected over all pairs of denoisers on that metric. "
    "effect r: matched-pairs rank-biserial correlation, 1 where the first is always greater, -1 "
    "where the second is.",
    f"better: by the sign of r, where p (Holm) is below {LEVEL}; of {_LESS} less is better.",
    "Attempts: differential evolution, non-targeted, on the bare classifier, first repeat "
    "(repeat = 0), one attack and one seed for each number of pixels.",
)


def build(request: TableRequest) -> ReportTable:
    """Return the table: a row for each metric and pair of denoisers."""
    pool = request.evidence.denoised
    plans = request.plans_by_pixels(pool)
    rows = [Row(cells, in_paper=False) for plan in plans for cells in _comparisons(request, plan)]
    notes = [*NOTES, *(request.elsewhere(pool, plans[0]) if plans else ())]
    if not rows:
        command = _command(request, plans)
        rows = [Row(tuple(Cell(None, not_run=command) for _ in COLUMNS), in_paper=False)]
    return request.table(COLUMNS, rows, plans, notes, request.title_about(*plans[:1]))


def _command(request: TableRequest, plans: list[Study]) -> str:
    if plans:  # restored, but not scored, or by one denoiser alone
        dataset, classifier = plans[0].dataset, plans[0].classifier_id
        return f"{commands.apply(dataset, classifier)}; {commands.score(dataset, classifier)}"
    waiting = request.plans_by_pixels(request.evidence.attacked)
    if waiting:
        return _command(request, waiting)
    dataset = request.dataset or request.default_dataset()
    attack = request.attack_command(None)
    return f"{attack}; {commands.apply(dataset, None)}; {commands.score(dataset, None)}"


def _comparisons(request: TableRequest, plan: Study) -> Iterator[tuple[Cell, ...]]:
    assert plan.attack is not None
    found = request.fetch("paired_scores", **plan.attempts)
    names = {int(row["denoiser_id"]): row["denoiser"] for row in found}
    namesakes = Counter(names.values())
    labels = {n: f"{name} #{n}" if namesakes[name] > 1 else name for n, name in names.items()}
    by_metric: dict[str, dict[int, dict[int, float]]] = {}
    for row in found:
        value = math.inf if row["value_kind"] == "inf" else float(row["value"])
        scores = by_metric.setdefault(row["metric"], {}).setdefault(int(row["denoiser_id"]), {})
        scores[int(row["attempt_id"])] = value
    for metric, denoisers in by_metric.items():
        order = sorted(denoisers, key=lambda n: labels[n])
        pairs = list(combinations(order, 2))
        tests = [_test(denoisers[first], denoisers[second]) for first, second in pairs]
        corrected = holm([test.p_value for test in tests])
        for (first, second), test, p_holm in zip(pairs, tests, corrected, strict=True):
            yield (
                changed_cell(plan.attack.pixels),
                Cell(metric.upper()),
                Cell(labels[first]),
                Cell(labels[second]),
                *_figures(test, p_holm),
                Cell(_better(metric, test, p_holm, labels[first], labels[second])),
            )


def _test(first: Mapping[int, float], second: Mapping[int, float]) -> SignedRank:
    shared = sorted(first.keys() & second.keys())
    return signed_rank([(first[attempt], second[attempt]) for attempt in shared])


def _figures(test: SignedRank, p_holm: float | None) -> tuple[Cell, ...]:
    differing = test.pairs - test.ties
    note = "" if differing else "all equal" if test.pairs else "no image shared"
    return (
        Cell(test.pairs),
        Cell(test.ties, test.pairs),
        Cell(test.median, test.pairs, note="" if test.median is not None else "undefined"),
        Cell(test.effect, differing, note=note),
        Cell(test.p_value, differing, note=note),
        Cell(p_holm, differing, note=note),
    )


def _better(metric: str, test: SignedRank, p_holm: float | None, first: str, second: str) -> str:
    if test.effect is None or p_holm is None or p_holm >= LEVEL or test.effect == 0:
        return UNDECIDED
    return first if (test.effect > 0) != (not METRICS[metric].higher_is_better) else second


FAMILY = Family(
    build,
    title="Denoisers Compared Pair by Pair on the Same Images",
    pool="denoised",
    of_attempts=True,
)
