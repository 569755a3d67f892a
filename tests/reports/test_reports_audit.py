"""The audit: what it must find in the real tables, and that it finds a slip and nothing else."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from pixguard.reports.audit import RULES, audit, audit_tables
from pixguard.reports.audit.checks import Check, Paper, holds, room
from pixguard.reports.audit.facts import seconds_of
from pixguard.reports.audit.quality import psnr_of
from pixguard.reports.formats import FORMATS
from pixguard.reports.published import document
from pixguard.reports.render import render, render_sql

Document = dict[str, Any]


def findings(source: Document, rule: str) -> list[Check]:
    checks = {one.name: found for one, found in audit(Paper(source))}[rule]
    return [check for check in checks if check.verdict != "agrees"]


def table(source: Document, number: int) -> dict[str, Any]:
    (found,) = [one for one in source["tables"] if one["number"] == number]
    return found


def put(source: Document, number: int, row: str, column: str, value: object) -> None:
    one = table(source, number)
    (line,) = [line for line in one["rows"] if line[0] == row]
    line[one["columns"].index(column)] = value


@pytest.fixture
def source() -> Document:
    return copy.deepcopy(dict(document()))


@pytest.mark.parametrize(
    ("rule", "tables", "where", "words"),
    [
        # What reports.md names.
        ("rate", (33,), "Chest", "387 of 500 = 77.4 %"),
        ("sum of classes", (33, 30), "Chest", "468"),
        ("text", (39,), "images", "sum of the classes = 400"),
        ("identical rows", (36, 38), "Noise2Noise", "28.99, 0.75, 40.6"),
        ("identical rows", (36, 38), "MedianDenoise", "36.01, 0.98"),
        ("PSNR and MSE", (18,), "Noise2Noise", "31.06 dB"),
        # What defences.md names.
        ("PSNR and MSE", (23,), "Noise2Noise", "32.25 dB"),
        ("PSNR and MSE", (29,), "MedianDenoise", "41.92 dB"),
        ("FSIM", (18, 23), "Proposed DAE", "FSIM near 1"),
        ("same model", (3, 4), "proposed DAE, PSNR", "40.42"),
        ("identity", (29,), "Proposed DAE", "47.00 dB"),
        # What nobody had named before.
        ("attackable images", (19, 17), "Dermatofibroma", "at most 10"),
        ("class counts", (8, 6), "Adipose", "10407 of 100000"),
        ("accuracy", (12,), "Derma", "2010.12 to 2010.48"),
        ("recall", (15, 24, 9), "Drusen", "1773.2"),
        ("time an image", (44,), "OCT", "1.09"),
    ],
)
def test_the_real_tables_contradict_themselves(
    source: Document, rule: str, tables: tuple[int, ...], where: str, words: str
) -> None:
    found = [
        check
        for check in findings(source, rule)
        if check.tables == tables and where in check.where and words in check.computed
    ]
    assert len(found) == 1 and found[0].gap


def test_rows_are_compared_in_the_order_of_the_tables(source: Document) -> None:
    rule = next(rule for rule in RULES if rule.name == "identical rows")
    paper = Paper(source)
    compared: dict[tuple[int, ...], list[str]] = {}
    for check in rule.checks(paper):
        compared.setdefault(check.tables, []).append(check.where.removesuffix(", all metrics"))
    for (first, _), labels in compared.items():
        printed = [row["label"] for row in paper.rows(first).values()]
        assert labels == [label for label in printed if label in labels]
    assert max(map(len, compared.values())) > 3


def test_the_text_of_table_39_and_the_scale_of_table_18_are_told(source: Document) -> None:
    (images, rate) = [c for c in findings(source, "text") if c.tables == (39,)]
    assert (images.printed, images.gap) == ("500", "+100")
    assert (rate.printed, rate.computed, rate.gap) == ("32 %", "128 of 500 = 25.6 %", "+6.4 %")
    scales = {c.tables[0]: c.gap for c in findings(source, "PSNR and MSE")}
    assert "consistent with it" in scales[18] and scales[18].startswith("+1.04 dB")
    assert "impossible" in scales[42] and scales[42].startswith("-26.92 dB")


SLIPS: list[tuple[str, Callable[[Document], None], int]] = [
    ("rate", lambda d: put(d, 24, "Normal", "success rate %", 56.7), 1),
    ("sum of classes", lambda d: put(d, 24, "Drusen", "success count", 322), 1),
    ("sum of classes", lambda d: put(d, 32, "OCT", "total images", 21025), 1),
    ("comparison", lambda d: put(d, 43, "OCT", "ResNet50 success %", 28.75), 1),
    ("text", lambda d: table(d, 21)["text"].update({"success count": 140}), 1),
    ("repeated figure", lambda d: put(d, 45, "OCT", "count", 109310), 1),
    ("attackable images", lambda d: put(d, 17, "Melanoma", "test count", 99), 1),
    ("class counts", lambda d: put(d, 9, "Drusen", "percentage", 8.2), 1),
    ("class counts", lambda d: put(d, 7, "Dermatofibroma", "count", 116), 1),
    ("F1", lambda d: put(d, 15, "Normal", "F1 %", 95), 1),
    ("identical rows", lambda d: table(d, 25)["rows"].__setitem__(0, table(d, 27)["rows"][0]), 1),
    ("same model", lambda d: put(d, 5, "Proposed (4 Layer)", "PSNR", 40.43), 1),
    ("PSNR and MSE", lambda d: put(d, 25, "Proposed DAE", "PSNR", 34.9), 1),
    ("parameters", lambda d: table(d, 1)["rows"][3].__setitem__(3, 2313), 2),
    ("time", lambda d: put(d, 47, "OCT", "seconds", 132747), 1),
    ("time an image", lambda d: put(d, 45, "Derma", "seconds", 400_000), 1),
    ("accuracy", lambda d: put(d, 12, "Pathology", "test accuracy %", 95.06), 1),
    ("recall", lambda d: put(d, 13, "Melanocytic nevi", "recall %", 80), 1),
]


@pytest.mark.parametrize(
    ("rule", "slip", "further"), SLIPS, ids=[f"{rule} {n}" for n, (rule, *_) in enumerate(SLIPS)]
)
def test_a_slip_is_found(
    source: Document, rule: str, slip: Callable[[Document], None], further: int
) -> None:
    before = findings(source, rule)
    slip(source)
    after = findings(source, rule)
    assert len([check for check in after if check not in before]) >= further


def mended(source: Document) -> Document:
    """Return tables in which what the rules find is put right."""
    put(source, 33, "Chest", "success count", 468)
    table(source, 39)["text"] = {"success count": 128, "total images": 400, "success rate %": 32}
    return source


def test_what_is_put_right_is_found_no_more(source: Document) -> None:
    mended(source)
    assert not any(findings(source, rule) for rule in ("rate", "sum of classes", "text"))


def test_rules_without_their_tables_check_nothing() -> None:
    assert all(checks == [] for _, checks in audit(Paper({"tables": []})))


def test_a_rule_cannot_be_registered_twice(source: Document) -> None:
    with pytest.raises(ValueError, match="two rules have the same name"):
        audit(Paper(source), [*RULES, RULES[0]])


def test_the_summary_counts_every_comparison(source: Document) -> None:
    found, summary = audit_tables()
    by_rule = {row.cells[0].value: [c.value for c in row.cells[2:]] for row in summary.rows}
    assert list(by_rule) == [rule.name for rule in RULES]
    for rule, checks in audit(Paper(source)):
        checked, agree, *others = by_rule[rule.name]
        assert checked == len(checks) > 0
        assert agree == checked - sum(others) == sum(c.verdict == "agrees" for c in checks)
    assert len(found.rows) == sum(sum(counts[2:]) for counts in by_rule.values())
    verdicts = [row.cells[1].value for row in found.rows]
    assert verdicts == sorted(verdicts, key=["contradiction", "implausible", "remark"].index)


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_holds_the_findings(output_format: str) -> None:
    text = render(audit_tables(), output_format)
    for words in ("387 of 500", "468", "Noise2Noise"):
        assert words in text
    if output_format == "json":
        assert [one["name"] for one in json.loads(text)["tables"]] == ["audit", "audit-checks"]
    assert "not asked of the database" in render_sql(audit_tables())


@pytest.mark.parametrize(
    ("printed", "low", "high"),
    [(93.6, 93.55, 93.7), (32, 31.5, 33.0), (0.0002, 0.00015, 0.0003), (29.46, 29.455, 29.47)],
)
def test_a_printed_number_stands_for_what_rounds_or_is_cut_to_it(
    printed: float, low: float, high: float
) -> None:
    assert room(printed) == (pytest.approx(low), pytest.approx(high))
    assert holds(printed, printed)
    assert not holds(printed, high + (high - low)) and not holds(printed, low - (high - low))


def test_psnr_of_a_swing_of_one_pixel_is_the_bound_of_the_tables() -> None:
    assert psnr_of(1 / 224**2, 1.0) == pytest.approx(47.0, abs=0.01)
    assert psnr_of(50.95, 255.0) == pytest.approx(31.06, abs=0.005)
    assert psnr_of(0.0, 1.0) == float("inf")


def test_times_are_read() -> None:
    assert [seconds_of(w) for w in ("182 min 16 s", "52,741 min 16 s", "1827 min", "9 s")] == [
        *(10936, 3164476, 109620, 9)
    ]
    with pytest.raises(ValueError, match="is not a time"):
        seconds_of("soon")
