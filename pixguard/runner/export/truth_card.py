"""What is said of an export of the truth, and the example that scores an attack by it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pixguard import __version__
from pixguard.records import DatasetInfo
from pixguard.runner.export.card import about_images, tables_of
from pixguard.runner.export.kinds import ImageFormat, TableFormat
from pixguard.store.exports import exports
from pixguard.store.truths import ABOUT, ROBUST, UNKNOWN, VULNERABLE, KnownImage

EXAMPLE = '''\
"""Scores an attack of your own against the truth in this folder: python example.py [IMAGES.npz]

IMAGES.npz holds the clean images, uint8 (N, H, W) or (N, H, W, C), in any order and among others:
they are found by their hashes. Default: images.npz, where the export has it. Needs {needs}.
"""

{imports}import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

HERE, QUERIES = Path(__file__).parent, 200


def attack(image, classify, stream):
    """Yield changed copies of an image (H, W, C), here random ones: put your own attack here."""
    for _ in range(QUERIES):
        changed = image.copy()
        changed[tuple(stream.integers(image.shape[:2]))] = stream.choice([0, 255], image.shape[2])
        yield changed


def load(number):
    model = torch.export.load(HERE / "classifiers" / f"{{number}}.pt2").module()

    def classify(image):
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None] / 255
        return ",".join(map(str, model(pixels)[1][0].nonzero().flatten().tolist()))

    return classify


pictures, models, score, stream = {{}}, {{}}, {{}}, np.random.default_rng(0)
with np.load(sys.argv[1] if len(sys.argv) > 1 else HERE / "images.npz") as arrays:
    for array in (arrays[name] for name in arrays.files):
        for image in array if array.ndim > 2 else ():
            image = image.reshape(*image.shape[:2], -1)
            header = "x".join(map(str, image.shape)) + ":"
            pictures[hashlib.sha256(header.encode() + image.tobytes()).hexdigest()] = image
{read}
for row in (row for row in truth if row["image_sha256"] in pictures):
    image, number = pictures[row["image_sha256"]], row["classifier_id"]
    classify = models[number] = models.get(number) or load(number)
    fooled = any(
        (changed != image).any(2).sum() == 1 and classify(changed) != row["predicted"]
        for changed in attack(image, classify, stream)
    )
    hits, images = score.get(row["verdict"], (0, 0))
    score[row["verdict"]] = hits + fooled, images + 1
for verdict, (hits, images) in sorted(score.items()):
    print(f"{{verdict}}: {{hits}} of {{images}} images fooled")
if score.get("robust", (0, 0))[0]:
    sys.exit("an image that is proven robust was fooled: please report it")
'''


def example(form: TableFormat) -> str:
    """Return the program that scores an attack, for tables of a format."""
    if form == "csv":
        read = 'with (HERE / "images.csv").open(newline="") as file:\n'
        read += "    truth = list(csv.DictReader(file))"
        return EXAMPLE.format(needs="torch and numpy", imports="import csv\n", read=read)
    read = "from pyarrow import parquet\n\n"
    read += 'truth = parquet.read_table(HERE / "images.parquet").to_pylist()'
    return EXAMPLE.format(needs="torch, numpy and pyarrow", imports="", read=read)


def truth_card(
    infos: Sequence[DatasetInfo],
    rows: Mapping[str, int],
    known: Sequence[KnownImage],
    form: TableFormat,
    images: ImageFormat | None,
    programs: Mapping[int, bool],
) -> str:
    """Return the README: what is known, how it is proven, whose images, how to score an attack."""
    text = [
        *_header(infos, rows, form),
        *_counts(known),
        *_files(rows, form, images, programs),
        *about_images(infos),
    ]
    return "\n".join(text) + "\n"


def _header(
    infos: Sequence[DatasetInfo], rows: Mapping[str, int], form: TableFormat
) -> Iterator[str]:
    """Yield YAML; JSON strings are YAML."""
    licences = sorted({info.licence for info in infos if info.licence and not info.is_synthetic})
    yield "---"
    yield "license: other"
    yield f"license_name: {json.dumps('; '.join(licences) or 'not recorded')}"
    yield f"pretty_name: {json.dumps('The truth about one-pixel attacks')}"
    yield "task_categories: [image-classification]"
    yield "tags: [adversarial-robustness, one-pixel-attack, medical]"
    yield from tables_of(rows, form, "images")
    yield "---"


def _counts(known: Sequence[KnownImage]) -> Iterator[str]:
    verdicts = Counter(image.verdict for image in known)
    surveyed = [image for image in known if image.map is not None]
    pixels = sum(image.size[0] * image.size[1] for image in surveyed)
    fooled = sum(len(image.map.fooled) for image in surveyed if image.map)
    left = sum(len(image.map.open) for image in surveyed if image.map)
    yield "# The truth about one-pixel attacks"
    yield ""
    yield (
        f"What pixguard {__version__} knows of every change of one pixel of clean images that a "
        "classifier gets right: which pixels flip its decision, and of which it is proven that no "
        "colour does. `python example.py` scores an attack by it: put your own into that file."
    )
    yield ""
    yield (
        f"- {len(known)} images: {verdicts[VULNERABLE]} vulnerable, {verdicts[ROBUST]} robust "
        f"(proven), {verdicts[UNKNOWN]} open"
    )
    yield (
        f"- {pixels:,} pixels of the {len(surveyed)} images that were surveyed: "
        f"{pixels - fooled - left:,} proven, {fooled:,} fooled, {left:,} open"
    )
    yield ""
    yield (
        "*Proven*: no colour of the pixel, of all 256 values a channel, flips the decision: all "
        "were evaluated, or ruled out by bounds with a margin for rounding in float32 (branch and "
        "bound with affine arithmetic; docs/truth.md of pixguard). A flip was "
        "judged alone in float32, from the image's bytes. *Open*: neither. An image with a flip is "
        "vulnerable, one of which all pixels are proven is robust."
    )
    yield ""


def _files(
    rows: Mapping[str, int],
    form: TableFormat,
    images: ImageFormat | None,
    programs: Mapping[int, bool],
) -> Iterator[str]:
    yield "| file | rows | what a row is |"
    yield "| --- | ---: | --- |"
    about = {**{name: one.about for name, one in exports().items()}, **ABOUT}
    for name, count in rows.items():
        yield f"| `{name}.{form}` | {count:,} | {about[name]} |"
    yield ""
    yield (
        "An image is `dataset_index` of `dataset`, as pixguard counts, and has `image_sha256`: of "
        "its shape as `HxWxC:`, and its bytes (H, W, C). A label set is its code, the ordinals of "
        "classes joined by commas. Colours are JSON lists of uint8."
    )
    yield ""
    yield (
        "`classifiers/`: `ID-weights.*` as they are stored, and beside them, as .json, what "
        "rebuilds the classifier in pixguard."
    )
    ids = ", ".join(str(number) for number, written in programs.items() if written)
    if ids:
        yield (
            f"`ID.pt2` (of {ids}) is the same as a program that needs torch alone, "
            "`torch.export.load(...).module()`: from float32 images (N, C, H, W) in [0, 1] to "
            "logits and the labels that are given, bool (N, L). Opening it runs its code. Its last "
            "digits may differ from those by which verdicts were made."
        )
    lacking = ", ".join(str(number) for number, written in programs.items() if not written)
    if lacking:
        yield f"Of {lacking} there is none: torch.export cannot take it."
    if images == "npz":
        yield ""
        yield "`images.npz`: the clean images, uint8 (N, H, W, C), an array a dataset."
    elif images == "png":
        yield ""
        yield "`images/DATASET/INDEX.png`: the clean images."
    yield ""
