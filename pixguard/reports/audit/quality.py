"""PSNR, MSE and FSIM: what they say of each other, and of leaving an image alone."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import inf, log10
from typing import Any

from pixguard.reports.audit.checks import Check, Paper, Rule, room

METRICS = ("PSNR", "SSIM", "MSE", "GMSD", "FSIM")
BYTE_RANGE, UNIT_RANGE = 255.0, 1.0


def _tables(paper: Paper) -> list[Mapping[str, Any]]:
    return paper.with_columns(*METRICS)


def psnr_of(mse: float, data_range: float) -> float:
    """Return the PSNR in dB of a mean squared error."""
    return inf if mse <= 0 else 10 * log10(data_range**2 / mse)


def psnr_and_mse(paper: Paper) -> Iterator[Check]:
    """Compare a mean PSNR with the PSNR of the mean MSE on both usual scales."""
    for table in _tables(paper):
        number = int(table["number"])
        for row in paper.rows(number).values():
            psnr, mse = room(row["PSNR"])[1], room(row["MSE"])[1]
            least = {scale: psnr_of(mse, scale) for scale in (UNIT_RANGE, BYTE_RANGE)}
            within = row["MSE"] <= UNIT_RANGE**2
            fits = within and psnr >= least[UNIT_RANGE]
            if within:
                computed = f"at least {least[UNIT_RANGE]:.2f} dB on the scale 0 to 1"
                gap = f"{psnr - least[UNIT_RANGE]:+.2f} dB"
            else:
                computed = (
                    "an MSE above 1 is on the scale 0 to 255, and then PSNR is at least "
                    f"{least[BYTE_RANGE]:.2f} dB, or is of outputs that were not clipped to 0 to 1"
                )
                gap = f"{psnr - least[BYTE_RANGE]:+.2f} dB on the scale 0 to 255: " + (
                    "consistent with it, not with the scale of the other rows"
                    if psnr >= least[BYTE_RANGE]
                    else "impossible; not clipped, or not of the same images, is what is left"
                )
            yield Check(
                (number,),
                f"{row['label']}, PSNR and MSE",
                f"PSNR {row['PSNR']}, MSE {row['MSE']}",
                computed,
                "" if fits else gap,
                "agrees" if fits else "contradiction",
            )


def identical_rows(paper: Paper) -> Iterator[Check]:
    """Look for rows that are the same to the last digit in tables about different images."""
    attacked = [table for table in _tables(paper) if "dataset" in table]
    for first, second in combinations(attacked, 2):
        numbers = int(first["number"]), int(second["number"])
        rows, others = (paper.rows(number) for number in numbers)
        for name in [name for name in rows if name in others]:
            ours, theirs = ([row[name][m] for m in METRICS] for row in (rows, others))
            same = ours == theirs
            yield Check(
                numbers,
                f"{rows[name]['label']}, all metrics",
                ", ".join(map(str, ours)),
                ", ".join(map(str, theirs)),
                "none in five figures" if same else "",
                "contradiction" if same else "agrees",
            )


def identity(paper: Paper) -> Iterator[Check]:
    """Compare the best denoiser with leaving the attacked image alone."""
    if not paper.has(1):
        return
    side = int(paper.tables[1]["rows"][0][2][0])
    for table in _tables(paper):
        if "pixels" not in table:
            continue
        number, pixels = int(table["number"]), int(table["pixels"])
        bound = psnr_of(pixels / side**2, UNIT_RANGE)
        row = max(paper.rows(number).values(), key=lambda line: float(line["PSNR"]))
        better = row["PSNR"] >= bound
        yield Check(
            (number,),
            f"{row['label']}, PSNR, the best of the table",
            f"{row['PSNR']} dB",
            f"untouched, {pixels} of {side} x {side} pixels changed: at least {bound:.2f} dB",
            "" if better else f"{row['PSNR'] - bound:+.2f} dB: worse than leaving the image alone",
            "agrees" if better else "remark",
        )


GOOD_SSIM, LOW_FSIM = 0.98, 0.5


def fsim(paper: Paper) -> Iterator[Check]:
    """Look for an FSIM that the other metrics of its row speak against."""
    found = [
        (int(table["number"]), row)
        for table in _tables(paper)
        for row in paper.rows(int(table["number"])).values()
    ]
    for number, row in found:
        if row["SSIM"] < GOOD_SSIM:
            continue
        worse = [
            (other, line)
            for other, line in found
            if line["PSNR"] <= row["PSNR"] and line["SSIM"] <= row["SSIM"]
        ]
        other, line = max(worse, key=lambda one: float(one[1]["FSIM"]))
        fits = row["FSIM"] > LOW_FSIM
        yield Check(
            (number,) if fits else (number, other),
            f"{row['label']}, FSIM",
            f"FSIM {row['FSIM']} at PSNR {row['PSNR']}, SSIM {row['SSIM']}",
            "both compare local structure: images this alike have an FSIM near 1; "
            f"{line['label']} in Table {other} has {line['FSIM']} at PSNR {line['PSNR']}, SSIM "
            f"{line['SSIM']}",
            "" if fits else f"{row['FSIM'] - line['FSIM']:+.2f}",
            "agrees" if fits else "implausible",
        )


def same_model(paper: Paper) -> Iterator[Check]:
    """Compare the same models in the two tables of the ablation's metrics."""
    if not paper.has(3, 4):
        return
    labels = {"test (reproduction)": "original", "proposed DAE": "proposed"}
    ablation = {name.partition(" ")[0]: row for name, row in paper.rows(4).items()}
    for metric, row in paper.rows(3).items():
        for column, name in labels.items():
            if name not in ablation:
                continue
            here, there = row[column], ablation[name][metric.upper()]
            yield Check(
                (3, 4),
                f"{column}, {metric.upper()}",
                f"{here} in Table 3",
                f"{there} in Table 4",
                "" if here == there else f"{here - there:+.4g}",
                "agrees" if here == there else "contradiction",
            )
    if paper.has(5):
        depth = {name.partition(" ")[0]: row for name, row in paper.rows(5).items()}
        for metric in METRICS:
            here, there = depth["proposed"][metric], ablation["proposed"][metric]
            verdict = (
                f"{here} in Table 5",
                f"{there} in Table 4",
                "" if here == there else f"{here - there:+.4g}",
            )
            agrees = here == there
            yield Check(
                (5, 4), f"proposed, {metric}", *verdict, "agrees" if agrees else "contradiction"
            )


RULES = (
    Rule(
        "PSNR and MSE",
        "A mean of PSNRs is never below the PSNR of the mean MSE (Jensen); no MSE of images from 0 "
        "to 1 is above 1.",
        psnr_and_mse,
    ),
    Rule("identical rows", "Different images do not give five equal figures.", identical_rows),
    Rule("same model", "One model has the same figures in the tables that test it.", same_model),
    Rule(
        "FSIM",
        f"Where SSIM is {GOOD_SSIM} or more, FSIM is above {LOW_FSIM}.",
        fsim,
    ),
    Rule("identity", "A denoiser is better than leaving the image alone.", identity),
)
