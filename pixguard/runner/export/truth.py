"""Writes what is known of every one-pixel change, so that others can score their attacks by it."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sqlalchemy import Engine
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.config import DatasetRequest
from pixguard.datasets.png import encode_png
from pixguard.errors import UsageError
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.export.files import table_rows
from pixguard.runner.export.kinds import ImageFormat, TableFormat
from pixguard.runner.export.truth_card import example, truth_card
from pixguard.runner.export.writing import new_folder
from pixguard.runner.exporting import export_model
from pixguard.runner.images import CHUNK
from pixguard.runner.session import Session
from pixguard.runner.subject import open_registered, open_stored
from pixguard.store import reader
from pixguard.store.engine import reading
from pixguard.store.exports import snapshot
from pixguard.store.truths import KnownImage, columns, known_images, plain_tables

CLASSIFIERS = "classifiers"
TOLERANCE = 1e-4
"""How far logits of an exported program may be from the classifier's, relative to the largest."""
OWN_ROWS: Mapping[str, Callable[[KnownImage], Iterable[tuple[Any, ...]]]] = {
    "images": lambda image: [image.row()],
    "pixels": KnownImage.pixels,
    "flips": KnownImage.flips,
}


def export_truth(
    session: Session,
    folder: Path,
    *,
    form: TableFormat,
    images: ImageFormat | None,
    data_dirs: Mapping[str | None, Path],
) -> dict[str, Any]:
    """Write verdicts on images and pixels, the classifiers, a card and an example that scores.

    Raises:
        UsageError: nothing is known, there is something at the folder, or Parquet cannot be
            written.
        PixguardError: it cannot be written, or images or weights are not there.
        InterruptedRunError: a stop was requested; nothing is left.
    """
    with reading(session.database) as engine:
        with snapshot(engine) as connection:
            known = known_images(connection)
        if not known:
            raise UsageError(
                "no truth is known in this database: no image was surveyed or searched in full",
                "pixguard certify pixels --dataset NAME --limit 25",
            )
        with new_folder(folder, form) as new:
            rows = _write_tables(session, engine, known, new, form)
            programs = _write_classifiers(session, engine, known, new / CLASSIFIERS)
            pictures = 0
            if images is not None:
                pictures = _write_images(session, engine, known, new, images, data_dirs)
            ids = {reader.model(engine, m).dataset_id for m in programs}
            infos = [reader.dataset(engine, number).info for number in sorted(ids)]
            text = truth_card(infos, rows, known, form, images, programs)
            (new / "README.md").write_text(text, encoding="utf-8")
            (new / "example.py").write_text(example(form), encoding="utf-8")
    verdicts = Counter(image.verdict for image in known)
    return {
        "folder": str(folder),
        "format": form,
        "rows": rows,
        "images": len(known),
        **dict(sorted(verdicts.items())),
        "images_written": pictures,
        "programs": sorted(number for number, written in programs.items() if written),
    }


def _write_tables(
    session: Session,
    engine: Engine,
    known: Sequence[KnownImage],
    folder: Path,
    form: TableFormat,
) -> dict[str, int]:
    rows = dict.fromkeys(OWN_ROWS, 0)
    for name, rows_of in OWN_ROWS.items():
        with table_rows(folder, name, columns(name), form) as file:
            for image in known:
                part = list(rows_of(image))
                if part:
                    file.add(part)
                rows[name] += len(part)
                session.honour_stop("nothing was written")
    with snapshot(engine) as connection:
        for name, one in plain_tables(known).items():
            rows[name] = 0
            with table_rows(folder, name, one.columns, form) as file:
                for some in one.rows(connection):
                    file.add(some)
                    rows[name] += len(some)
    return rows


class Deciding(nn.Module):
    """A classifier, and what it decides: (logits float32 (N, L), labels given bool (N, L))."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classify images, float32 (N, C, H, W) in [0, 1]."""
        logits = self.classifier(images)
        if self.classifier.task == "multi-class":
            best = self.classifier.probabilities(logits).argmax(1, keepdim=True)
            labels = torch.arange(self.classifier.label_count, device=logits.device)
            return logits, labels == best
        return logits, self.classifier.indicators(logits)


def _write_classifiers(
    session: Session, engine: Engine, known: Sequence[KnownImage], folder: Path
) -> dict[int, bool]:
    """Write weights as they are stored and, where that can be, programs that need torch alone.

    Returns:
        id -> whether there is a program.
    """
    folder.mkdir()
    written = {}
    for number, image in {image.classifier_id: image for image in known}.items():
        stored = reader.model(engine, number)
        info = reader.dataset(engine, stored.dataset_id).info
        if stored.record.weights_file:  # a masked consensus has none of its own
            target = folder / f"{number}-weights{Path(stored.record.weights_file).suffix}"
            export_model(stored, info, session.weights, target)
        classifier = open_stored(session, stored, info).cpu()
        written[number] = write_program(classifier, image.size, folder / f"{number}.pt2")
        session.honour_stop("nothing was written")
    return written


def write_program(classifier: Classifier, size: tuple[int, int], path: Path) -> bool:
    """Write a classifier as an exported program; return whether that was possible.

    It is written only if, read back, it answers as the classifier does.
    """
    stream = torch.Generator().manual_seed(0)
    images = torch.rand(3, classifier.channels, *size, generator=stream)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                Deciding(classifier), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},)
            )
            torch.export.save(program, path)
            answer, _ = torch.export.load(path).module()(images[:1])
        wanted = canonical_logits(classifier, images[:1])
        if (answer - wanted).abs().max() <= TOLERANCE * wanted.abs().max().clamp(min=1):
            return True
    except Exception:  # whatever torch.export or the network's own code raises
        path.unlink(missing_ok=True)
        return False
    path.unlink(missing_ok=True)
    return False


def _write_images(
    session: Session,
    engine: Engine,
    known: Sequence[KnownImage],
    folder: Path,
    form: ImageFormat,
    data_dirs: Mapping[str | None, Path],
) -> int:
    """Write the clean images; return how many."""
    wanted: dict[int, set[int]] = defaultdict(set)
    trained_on = {model.id: model.dataset_id for model in reader.models(engine)}
    for image in known:
        wanted[trained_on[image.classifier_id]].add(image.index)
    arrays: dict[str, Any] = {}  # numpy takes options by name, too
    for dataset_id, own in wanted.items():
        info = reader.dataset(engine, dataset_id).info
        place = data_dirs.get(info.name, data_dirs.get(None))
        request = DatasetRequest(info.name, data_dir=place)
        dataset = open_registered(engine, dataset_id, request, session.display)
        title, indices = f"writing images of {info.name}", sorted(own)
        chunks = in_chunks(
            session, title, cut(indices, CHUNK), len(indices), kept="nothing was written"
        )
        pictures = np.concatenate([dataset.images(chunk) for chunk, _ in chunks])
        name = f"{info.name}-{dataset_id}"
        arrays[name] = pictures
        if form == "png":
            place = folder / "images" / name
            place.mkdir(parents=True)
            for index, picture in zip(indices, pictures, strict=True):
                (place / f"{index}.png").write_bytes(encode_png(picture))
    if form == "npz":
        np.savez_compressed(folder / "images.npz", **arrays)
    return sum(map(len, arrays.values()))
