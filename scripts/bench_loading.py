#!/usr/bin/env python3
"""How fast images are loaded from a folder, a zip and an npz. Reports times, asserts none.

    scripts/bench_loading.py --data-dir medical-mnist.zip --size 64 --images 5000 --model small-cnn
    scripts/bench_loading.py --kind PNG --side 1024 --size 224 --images 300

The first takes its images from a dataset of files of yours, the second draws phantoms (oct) and
saves them. The same files are written to a temporary folder and to a zip, and their pixels at
``--size`` to an npz. "Open" is the look at every file that comes before all else, "read" the first
time that images are decoded, "again" the second, out of memory. The disk's cache is warm.

With ``--model`` a classifier is trained on each for an epoch, twice; "waiting" is the share of that
time in which the training loop waits for its next batch, decoding first and then out of memory.

The table is Markdown, on stdout.
"""

import argparse
import io
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pixguard.classifiers.builders import build_classifier
from pixguard.classifiers.training import train_classifier
from pixguard.config import DatasetSettings, TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.files import open_tree
from pixguard.datasets.opening import open_dataset
from pixguard.models import training_loop as loop
from pixguard.models.device import pick_device
from pixguard.progress import Silent

CLASSES = ("even", "odd")


def files_of(arguments: argparse.Namespace) -> list[tuple[str, bytes]]:
    """Return the files, in two classes; their contents are a user's, or phantoms."""
    if arguments.data_dir:
        tree = open_tree(arguments.data_dir)
        paths = [p for p in tree.sizes if p.lower().endswith((".jpg", ".jpeg", ".png", ".tif"))]
        chosen = paths[:: max(1, len(paths) // arguments.images)][: arguments.images]
        contents = [(Path(p).suffix, tree.read(p)) for p in chosen]
    else:
        settings = DatasetSettings(
            "oct", "phantom", size=arguments.side, phantom_images=arguments.images
        )
        drawn = open_dataset(settings, Silent())
        contents = [
            (f".{arguments.kind.lower()}", encode(drawn.images([i])[0, ..., 0], arguments.kind))
            for i in range(arguments.images)
        ]
    return [(f"{CLASSES[i % 2]}/{i:06d}{end}", data) for i, (end, data) in enumerate(contents)]


def encode(image: np.ndarray, kind: str) -> bytes:
    """Return a uint8 image (H, W) as the content of a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def write(files: list[tuple[str, bytes]], folder: Path, size: int) -> dict[str, DatasetSettings]:
    """Write the files in the three ways and return the settings that open each."""
    for name, data in files:
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_bytes(data)
    with zipfile.ZipFile(folder / "files.zip", "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    ways = {
        "folder": DatasetSettings("bench", "folder", size, folder / "files"),
        "zip": DatasetSettings("bench", "folder", size, folder / "files.zip"),
    }
    dataset = open_dataset(ways["folder"], Silent())
    pixels = dataset.images(range(len(dataset)))
    flag, shape = ("derma", pixels) if dataset.info.channels == 3 else ("oct", pixels[..., 0])
    labels = dataset.labels.astype(np.uint8)[:, None]
    parts = {"train": slice(2, None), "val": slice(0, 1), "test": slice(1, 2)}
    arrays = {f"{k}_images": shape[part] for k, part in parts.items()}
    arrays |= {f"{k}_labels": labels[part] for k, part in parts.items()}
    np.savez(folder / "all.npz", **arrays)
    if size in (28, 64, 128, 224):
        ways["npz"] = DatasetSettings(flag, "medmnist", size, folder / "all.npz")
    return ways


def rates(settings: DatasetSettings) -> list[float]:
    """Return images a second: of opening, of the first reading, and of the second."""
    started = time.perf_counter()
    dataset = open_dataset(settings, Silent())
    times = [time.perf_counter()]
    for _ in range(2):
        for start in range(0, len(dataset), 64):
            dataset.images(range(start, min(start + 64, len(dataset))))
        times.append(time.perf_counter())
    return [len(dataset) / (b - a) for a, b in zip([started, *times], times, strict=False)]


class Waiting:
    """Iterates over batches as the training loop does, and adds up the time that they take."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._read = loop.batches_on

    def __call__(self, *arguments: Any) -> Iterator[tuple[Tensor, ...]]:
        """Yield the loop's batches."""
        batches = self._read(*arguments)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.seconds += time.perf_counter() - started
            if batch is None:
                return
            yield batch


def waiting(settings: DatasetSettings, model: str, device: torch.device) -> list[float]:
    """Return the shares of a first and of a second epoch that are spent waiting for data."""
    dataset = open_dataset(settings, Silent())
    return [_share_of_an_epoch(dataset, model, device) for _ in range(2)]


def _share_of_an_epoch(dataset: ImageDataset, model: str, device: torch.device) -> float:
    original, loop.batches_on = loop.batches_on, (watch := Waiting())
    try:
        fit = train_classifier(
            build_classifier(model, dataset.info), dataset, TrainSettings(model, epochs=1),
            loop.Workplace(device),
        )  # fmt: skip
    finally:
        loop.batches_on = original
    return watch.seconds / fit.epochs[0].seconds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder or zip of image files")
    parser.add_argument("--kind", choices=("JPEG", "PNG", "TIFF"), default="JPEG")
    parser.add_argument("--side", type=int, default=512, help="side of the phantoms")
    parser.add_argument("--size", type=int, default=64, help="side that images are loaded at")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--model", help="also train this classifier: small-cnn, resnet50, ...")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    columns = ["open, images/s", "read, images/s", "again, images/s"]
    if arguments.model:
        columns += [f"waiting, {arguments.model}, first epoch", "second epoch"]
    with tempfile.TemporaryDirectory() as folder:
        ways = write(files_of(arguments), Path(folder), arguments.size)
        print(f"| source | {' | '.join(columns)} |")
        print("|---|" + "---:|" * len(columns))
        for way, settings in ways.items():
            cells = [f"{rate:,.0f}" for rate in rates(settings)]
            if arguments.model:
                cells += [f"{share:.2%}" for share in waiting(settings, arguments.model, device)]
            print(f"| {way} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
