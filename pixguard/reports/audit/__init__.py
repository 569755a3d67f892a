"""What in the published tables contradicts itself, found by arithmetic.

Each rule reads the tables of ``paper_tables.json`` and compares; nothing is known beforehand of
what it will find. A new rule is a function and a line in its module's ``RULES``.
"""

from collections.abc import Iterable, Sequence

from pixguard.reports.audit import classification, counts, facts, quality
from pixguard.reports.audit.checks import Check, Paper, Rule, Verdict
from pixguard.reports.published import document, source
from pixguard.reports.report_table import Cell, Column, ReportTable, Row

RULES: tuple[Rule, ...] = (
    *counts.RULES,
    *classification.RULES,
    *quality.RULES,
    *facts.RULES,
)
FINDINGS: tuple[Verdict, ...] = ("contradiction", "implausible", "remark")
ORIGIN = "Computed from the published tables, not asked of the database."
FINDING_COLUMNS = (
    Column("rule"),
    Column("verdict"),
    Column("tables"),
    Column("where"),
    Column("printed"),
    Column("arithmetic"),
    Column("difference"),
)
SUMMARY_COLUMNS = (
    Column("rule"),
    Column("what must hold"),
    Column("checked", "count"),
    Column("agree", "count"),
    *(
        Column(f"{verdict}s".replace("implausibles", "implausible"), "count")
        for verdict in FINDINGS
    ),
)
NOTES = (
    "A printed number that is no count stands for all that round to it or are cut off to it; zeros "
    "that end it may be missing. contradiction: it cannot be; implausible: it could be, but "
    "experience speaks against it; "
    "remark: it is so, and tells how to read the figures.",
)


def audit(paper: Paper, rules: Sequence[Rule] = RULES) -> list[tuple[Rule, list[Check]]]:
    """Return every comparison of every rule.

    Raises:
        ValueError: two rules have the same name.
    """
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise ValueError(f"two rules have the same name: {sorted(names)}")
    return [(rule, list(rule.checks(paper))) for rule in rules]


def audit_tables(paper: Paper | None = None) -> list[ReportTable]:
    """Return the findings, and how many comparisons of each rule agreed."""
    results = audit(paper or Paper(document()))
    caption = (source(),)
    findings = ReportTable(
        "audit",
        "What in the Published Tables Contradicts Itself",
        FINDING_COLUMNS,
        tuple(_finding(rule, check) for rule, check in _in_order(results)),
        caption=caption,
        notes=NOTES,
        origin=ORIGIN,
    )
    summary = ReportTable(
        "audit-checks",
        "What Was Checked",
        SUMMARY_COLUMNS,
        tuple(_summary(rule, checks) for rule, checks in results),
        caption=caption,
        origin=ORIGIN,
    )
    return [findings, summary]


def _in_order(results: Iterable[tuple[Rule, list[Check]]]) -> list[tuple[Rule, Check]]:
    found = [(rule, check) for rule, checks in results for check in checks]
    return [(r, c) for verdict in FINDINGS for r, c in found if c.verdict == verdict]


def _finding(rule: Rule, check: Check) -> Row:
    numbers = ", ".join(map(str, dict.fromkeys(check.tables)))
    words = (
        rule.name,
        check.verdict,
        numbers,
        check.where,
        check.printed,
        check.computed,
        check.gap,
    )
    return Row(tuple(map(Cell, words)))


def _summary(rule: Rule, checks: Sequence[Check]) -> Row:
    verdicts = [check.verdict for check in checks]
    figures = (len(checks), *(verdicts.count(v) for v in ("agrees", *FINDINGS)))
    return Row((Cell(rule.name), Cell(rule.statement), *map(Cell, figures)))
