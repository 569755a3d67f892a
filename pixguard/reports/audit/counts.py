"""Counts, rates and sums, within tables, between them, and in the text beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

from pixguard.reports.audit.checks import Check, Paper, Rule, compare, holds

TRIED, WON, RATE = "test count", "success count", "success rate %"


def _class_tables(paper: Paper) -> list[Mapping[str, Any]]:
    return paper.with_columns(TRIED, WON, RATE)


def _overviews(paper: Paper) -> list[Mapping[str, Any]]:
    return paper.with_columns("total images", WON, "percentage")


def rates(paper: Paper) -> Iterator[Check]:
    """Compare every success rate with its counts."""
    columns = (
        (_class_tables(paper), TRIED, RATE),
        (_overviews(paper), "total images", "percentage"),
    )
    for tables, total, rate in columns:
        for table in tables:
            number = int(table["number"])
            for row in paper.rows(number).values():
                how = f"{row[WON]} of {row[total]}"
                share = 100 * row[WON] / row[total]
                yield compare((number,), f"{row['label']}, {rate}", row[rate], share, how, " %")


def sums(paper: Paper) -> Iterator[Check]:
    """Compare the overviews of attacks with the sums of the classes."""
    for overview in _overviews(paper):
        number = int(overview["number"])
        for dataset, row in paper.rows(number).items():
            subject = {"dataset": dataset, "pixels": overview["pixels"]}
            classes = paper.find(TRIED, WON, classifier=overview["classifier"], **subject)
            if classes is None:
                continue
            for column, part in (("total images", TRIED), (WON, WON)):
                total = sum(line[part] for line in paper.rows(classes).values())
                how = f"sum of the classes of Table {classes}"
                yield compare(
                    (number, classes), f"{row['label']}, {column}", row[column], total, how
                )


def comparisons(paper: Paper) -> Iterator[Check]:
    """Compare the rates of Table 43 with the tables of each classifier."""
    for comparison in paper.with_columns("ResNet50 success %", "DenseNet121 success %"):
        number = int(comparison["number"])
        for dataset, row in paper.rows(number).items():
            for label in ("ResNet50", "DenseNet121"):
                subject = {"dataset": dataset, "pixels": comparison["pixels"]}
                classes = paper.find(TRIED, WON, classifier=label.casefold(), **subject)
                if classes is None:
                    continue
                lines = paper.rows(classes).values()
                total = sum(line[TRIED] for line in lines)
                won = sum(line[WON] for line in lines)
                where, pair = f"{dataset}, {label}", (number, classes)
                share, how = 100 * won / total, f"{won} of {total} in Table {classes}"
                column = f"{label} success %"
                yield compare(pair, f"{where} success %", row[column], share, how, " %")
                how = f"sum of the classes of Table {classes}"
                yield compare(pair, f"{where}, total images", row["total images"], total, how)


def texts(paper: Paper) -> Iterator[Check]:
    """Compare what the text says of a table with its rows."""
    for table in _class_tables(paper):
        if "text" not in table:
            continue
        number, text = (int(table["number"]),), table["text"]
        lines = list(paper.rows(number[0]).values())
        won, total = (sum(line[column] for line in lines) for column in (WON, TRIED))
        said = "text beside the table"
        yield compare(number, f"{said}, successes", text[WON], won, "sum of the classes")
        yield compare(number, f"{said}, images", text["total images"], total, "sum of the classes")
        share = 100 * text[WON] / text["total images"]
        how = f"{text[WON]} of {text['total images']}"
        yield compare(number, f"{said}, rate", text["success rate %"], share, how, " %")
        if "mean of the class rates %" in text:
            mean = sum(line[RATE] for line in lines) / len(lines)
            printed = text["mean of the class rates %"]
            yield compare(
                number, f"{said}, mean of the class rates", printed, mean, "mean of the rates", " %"
            )


def repeats(paper: Paper) -> Iterator[Check]:
    """Compare figures that stand in more than one table."""
    rows = paper.rows
    pairs = [
        (32, "total images", 12, "correctly classified test images"),
        (46, "count", 32, "total images"),
        (47, "count", 33, "total images"),
        (43, "total images", 33, "total images"),
        (43, "ResNet50 success %", 33, "percentage"),
        *((number, "count", 6, "images") for number in (44, 45)),
    ]
    for first, column, second, other in pairs:
        for name, row in rows(first).items():
            if name in rows(second):
                expected, how = rows(second)[name][other], f"Table {second}, {other}"
                where = f"{row['label']}, {column}"
                yield compare((first, second), where, row[column], expected, how)
    for number in (48, 49, 50, 51):
        for row in rows(number).values():
            if paper.has(6):
                images = rows(6)[paper.tables[number]["dataset"]]["images"]
                yield compare(
                    (number, 6), f"{row['label']}, count", row["count"], images, "Table 6, images"
                )


def attackable(paper: Paper) -> Iterator[Check]:
    """Compare how many images of a class were attacked with two pixels and with one."""
    for table in _class_tables(paper):
        subject = {"dataset": table["dataset"], "classifier": table["classifier"]}
        one = paper.find(TRIED, WON, pixels=1, **subject)
        if table["pixels"] != 2 or one is None:
            continue
        number, known = int(table["number"]), paper.rows(one)
        for name, row in paper.rows(number).items():
            most = known[name][TRIED]
            fits = row[TRIED] <= most
            yield Check(
                (number, one),
                f"{row['label']}, {TRIED}",
                str(row[TRIED]),
                f"at most {most}: the correctly classified test images, see Table {one}",
                "" if fits else f"+{row[TRIED] - most}",
                "agrees" if fits else "contradiction",
            )


def class_counts(paper: Paper) -> Iterator[Check]:
    """Compare the classes of a dataset with its row in Table 6: counts and shares."""
    for table in paper.with_columns("class", "disease type", "count", "percentage"):
        number, dataset = int(table["number"]), table["dataset"]
        if dataset not in paper.rows(6):
            continue
        whole, lines = paper.rows(6)[dataset], paper.rows(number)
        for row in lines.values():
            share, how = (
                100 * row["count"] / whole["images"],
                f"{row['count']} of {whole['images']}",
            )
            yield compare(
                (number, 6), f"{row['label']}, percentage", row["percentage"], share, how, " %"
            )
        if len(lines) == whole["classes"]:
            total = sum(row["count"] for row in lines.values())
            how = "sum of the counts"
            yield compare((6, number), f"{whole['label']}, images", whole["images"], total, how)
            yield _hundred(number, [row["percentage"] for row in lines.values()])


def _hundred(number: int, shares: list[float]) -> Check:
    total = sum(shares)
    agrees = abs(total - 100) <= 0.005 * len(shares) or holds(100, total)
    return Check(
        (number,),
        "percentage, sum",
        "100 %",
        f"{total:.2f} %",
        "" if agrees else f"{total - 100:+.2f} %",
        "agrees" if agrees else "contradiction",
    )


RULES = (
    Rule("rate", "A success rate is successes by images.", rates),
    Rule("sum of classes", "The images and successes of a dataset are those of its classes.", sums),
    Rule("comparison", "Table 43 repeats the rates and images of the classes.", comparisons),
    Rule("text", "The text says of a table what is in it.", texts),
    Rule("repeated figure", "One figure in two tables is the same figure.", repeats),
    Rule(
        "attackable images",
        "Only correctly classified test images are attacked, whatever the number of pixels.",
        attackable,
    ),
    Rule("class counts", "Counts and shares of classes are those of their dataset.", class_counts),
)
