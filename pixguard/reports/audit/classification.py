"""Accuracy, precision, recall and F1 against the counts that they were taken from."""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, floor, sqrt

from pixguard.reports.audit.checks import Check, Paper, Rule, room, spread

CORRECT, ACCURACY = "correctly classified test images", "test accuracy %"
FAR = 5.0
"""Standard deviations of a random split from which on it is called implausible."""


def _tested(correct: float, percent: float) -> tuple[float, float]:
    """Return between how many images lie, of which a given number is a printed percentage."""
    low, high = room(percent)
    return 100 * correct / high, 100 * correct / low


def accuracies(paper: Paper) -> Iterator[Check]:
    """Find the number of test images that an accuracy needs: whole, and the split's."""
    for table in paper.with_columns(ACCURACY, CORRECT):
        number = int(table["number"])
        for dataset, row in paper.rows(number).items():
            low, high = _tested(row[CORRECT], row[ACCURACY])
            printed = f"{row[CORRECT]} correct, {row[ACCURACY]} %"
            whole = ceil(low) <= floor(high)
            yield Check(
                (number,),
                f"{row['label']}, {ACCURACY}",
                printed,
                f"of {spread(low, high)} images",
                "" if whole else "no whole number",
                "agrees" if whole else "contradiction",
            )
            share = paper.test_share.get(dataset)
            if share is not None and dataset in paper.rows(6):
                expected = share * paper.rows(6)[dataset]["images"]
                fits = low - 1 <= expected <= high + 1
                yield Check(
                    (number, 6),
                    f"{row['label']}, test images",
                    f"{printed}: of {spread(low, high)}",
                    f"{share:.0%} of the images of Table 6 = {expected:.6g}",
                    "" if fits else f"{(low + high) / 2 - expected:+.1f} images",
                    "agrees" if fits else "contradiction",
                )


def same_test_images(paper: Paper) -> Iterator[Check]:
    """Compare the test images that two classifiers' accuracies need."""
    tables = [int(table["number"]) for table in paper.with_columns(ACCURACY, CORRECT)]
    for first, second in pairwise(tables):
        for dataset, row in paper.rows(first).items():
            other = paper.rows(second).get(dataset)
            if other is None:
                continue
            low, high = _tested(row[CORRECT], row[ACCURACY])
            low_2, high_2 = _tested(other[CORRECT], other[ACCURACY])
            fits = max(low, low_2) <= min(high, high_2)
            yield Check(
                (first, second),
                f"{row['label']}, test images",
                f"{row[CORRECT]} correct, {row[ACCURACY]} %: of {spread(low, high)}",
                f"{other[CORRECT]} correct, {other[ACCURACY]} %: of {spread(low_2, high_2)}",
                "" if fits else f"{(low + high - low_2 - high_2) / 2:+.1f} images",
                "agrees" if fits else "contradiction",
            )


def f1_scores(paper: Paper) -> Iterator[Check]:
    """Compare F1 with precision and recall."""
    for table in paper.with_columns("precision %", "recall %", "F1 %"):
        number = int(table["number"])
        for row in paper.rows(number).values():
            (p_low, p_high), (r_low, r_high) = room(row["precision %"]), room(row["recall %"])
            low = 2 * p_low * r_low / (p_low + r_low)
            high = 2 * p_high * r_high / (p_high + r_high)
            f_low, f_high = room(row["F1 %"])
            fits = max(low, f_low) <= min(high, f_high)
            gap = f_low - high if f_low > high else f_high - low
            yield Check(
                (number,),
                f"{row['label']}, F1 %",
                f"{row['F1 %']} %",
                f"from precision {row['precision %']} and recall {row['recall %']}: "
                f"{spread(low, high)} %",
                "" if fits else f"{gap:+.2g} %",
                "agrees" if fits else "contradiction",
            )


def recalls(paper: Paper) -> Iterator[Check]:
    """Compare the test images of a class that its recall needs with its share of the dataset."""
    for table in paper.with_columns("recall %"):
        dataset, classifier = table["dataset"], table["classifier"]
        subject = {"dataset": dataset, "classifier": classifier, "pixels": 1}
        attacks = paper.find("test count", **subject)
        classes = paper.find("class", "count", "percentage", dataset=dataset)
        share = paper.test_share.get(dataset)
        if attacks is None or classes is None or share is None:
            continue
        number = int(table["number"])
        for name, row in paper.rows(number).items():
            correct, count = (
                paper.rows(attacks)[name]["test count"],
                paper.rows(classes)[name]["count"],
            )
            low, high = _tested(correct, row["recall %"])
            expected, deviation = share * count, sqrt(count * share * (1 - share))
            away = max(low - expected, expected - high, 0.0) / deviation
            yield Check(
                (number, attacks, classes),
                f"{row['label']}, recall %",
                f"{correct} correct, recall {row['recall %']} %: of {spread(low, high)} images",
                f"{share:.0%} of {count} = {expected:.6g}, give or take {deviation:.2g}",
                "" if away <= FAR else f"{away:.0f} standard deviations of a random split",
                "agrees" if away <= FAR else "implausible",
            )


RULES = (
    Rule(
        "accuracy", "Correct images are the accuracy of a whole number of test images.", accuracies
    ),
    Rule("one test set", "Two classifiers are judged on the same test images.", same_test_images),
    Rule("F1", "F1 is the harmonic mean of precision and recall.", f1_scores),
    Rule(
        "recall",
        "The images that the recall of a class was taken over are the test share of the class.",
        recalls,
    ),
)
