"""The images of attempts: clean, attacked, and what denoisers made of the attacked ones."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine
from torch import nn

from pixguard.config import DatasetRequest
from pixguard.datasets.base import ImageDataset, Images
from pixguard.datasets.png import encode_png
from pixguard.defences.restoring import restore
from pixguard.runner.chunks import in_chunks
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.export.files import Rows, parquet_rows
from pixguard.runner.images import CHUNK, adversarial_images, chunks_alike
from pixguard.runner.session import Session
from pixguard.runner.subject import open_registered
from pixguard.store import gallery, reader
from pixguard.store.exports import ExportColumn
from pixguard.store.gallery import GalleryAttempt
from pixguard.store.reader import StoredModel

FOLDER = "images"
IMAGES_A_FILE = 4 * CHUNK


@dataclass(frozen=True, slots=True)
class Pictures:
    """Attempts of one shape: ids int64 (n,), images (n, H, W, C).

    ``clean`` and ``attacked`` are uint8; ``restored`` is float32 in [0, 1], by denoiser, with the
    ids of those attempts that it restored.
    """

    attempts: Sequence[GalleryAttempt]
    clean: Images
    attacked: Images
    restored: Mapping[int, tuple[list[int], NDArray[np.float32]]]


class Sink(Protocol):
    """Takes images."""

    def add(self, pictures: Pictures) -> None:
        """Write them."""


def write_images(
    session: Session,
    engine: Engine,
    sink: Sink,
    data_dirs: Mapping[str | None, Path],
    last_id: int,
) -> int:
    """Hand the images of attempts up to an id to a sink; return how many attempts these are.

    An attempt without a success has the image of its best candidate.

    Raises:
        PixguardError: images or weights are not there.
        InterruptedRunError: a stop was requested.
    """
    denoisers = {m.id: m for m in reader.models(engine, kind="denoiser")}
    written = 0
    for stored in reader.datasets(engine):
        total = gallery.count_attempts_on(engine, stored.id, last_id)
        if not total:
            continue
        name = stored.info.name
        place = data_dirs.get(name, data_dirs.get(None))
        request = DatasetRequest(name, data_dir=place)
        dataset = open_registered(engine, stored.id, request, session.display)
        restorers = _Restorers(session, denoisers, dataset.info.channels)
        chunks = _chunks(engine, stored.id, dataset, last_id)
        title = f"writing images of {name}"
        for chunk, _ in in_chunks(session, title, chunks, total, kept="nothing was written"):
            sink.add(_pictures(session, dataset, chunk, restorers))
        written += total
    return written


@dataclass(frozen=True, slots=True)
class _Restorers:
    """Denoisers by id, loaded when first asked for."""

    session: Session
    known: Mapping[int, StoredModel]
    channels: int
    _loaded: dict[int, nn.Module] = field(default_factory=dict)

    def get(self, number: int) -> nn.Module:
        if number not in self._loaded:
            stored = self.known[number]
            self._loaded[number] = load_denoiser(self.session, stored, self.channels)
        return self._loaded[number]


def _chunks(
    engine: Engine, dataset_id: int, dataset: ImageDataset, last_id: int
) -> Iterator[Sequence[GalleryAttempt]]:
    for window in gallery.attempts_on(engine, dataset_id, last_id):
        yield from chunks_alike(dataset, window)


def _pictures(
    session: Session, dataset: ImageDataset, chunk: Sequence[GalleryAttempt], restorers: _Restorers
) -> Pictures:
    clean, attacked = adversarial_images(session, dataset, chunk)
    restored = {}
    for number in sorted({r.denoiser_id for a in chunk for r in a.restorations}):
        own = [n for n, a in enumerate(chunk) if number in {r.denoiser_id for r in a.restorations}]
        images = restore(restorers.get(number), attacked[own], batch=CHUNK)
        restored[number] = (
            [chunk[n].id for n in own],
            images.permute(0, 2, 3, 1).cpu().numpy(),
        )

    def stored(images: Any) -> Images:
        pixels: Images = images.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return pixels

    return Pictures(chunk, stored(clean), stored(attacked), restored)


@dataclass
class NpzSink:
    """Files of some hundred images of one shape, restored ones exact."""

    folder: Path
    _waiting: list[Pictures] = field(default_factory=list)
    _files: int = 0

    def add(self, pictures: Pictures) -> None:
        """Write what waits, once there is enough of it."""
        shape = pictures.clean.shape[1:]
        if self._waiting and self._waiting[0].clean.shape[1:] != shape:
            self.close()
        self._waiting.append(pictures)
        if sum(len(p.attempts) for p in self._waiting) >= IMAGES_A_FILE:
            self.close()

    def close(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        self._files += 1
        arrays: dict[str, Any] = {
            "attempt_id": np.array([a.id for p in self._waiting for a in p.attempts], np.int64),
            "clean": np.concatenate([p.clean for p in self._waiting]),
            "attacked": np.concatenate([p.attacked for p in self._waiting]),
        }
        for number in sorted({n for p in self._waiting for n in p.restored}):
            own = [p.restored[number] for p in self._waiting if number in p.restored]
            ids = np.array([i for ids, _ in own for i in ids], np.int64)
            arrays[f"restored_{number}_attempt_id"] = ids
            arrays[f"restored_{number}"] = np.concatenate([images for _, images in own])
        np.savez_compressed(self.folder / f"images-{self._files:05}.npz", **arrays)
        self._waiting.clear()


@dataclass(frozen=True, slots=True)
class PngSink:
    """A file for each image; restored ones are rounded to 8 bits."""

    folder: Path

    def add(self, pictures: Pictures) -> None:
        """Write them."""
        for attempt, clean, attacked in zip(
            pictures.attempts, pictures.clean, pictures.attacked, strict=True
        ):
            self._save(f"clean/{attempt.image_id}", clean)
            self._save(f"attacked/{attempt.id}", attacked)
        for number, (ids, images) in pictures.restored.items():
            for attempt_id, image in zip(ids, rounded(images), strict=True):
                self._save(f"restored-{number}/{attempt_id}", image)

    def _save(self, name: str, image: Images) -> None:
        path = self.folder / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_png(image))


class EmbeddedSink:
    """Two Parquet files that hold the PNG files, as Hugging Face ``datasets`` shows them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.rows = {"images": 0, "restored": 0}
        attempt = ExportColumn("attempt_id", "integer", False)
        denoiser = ExportColumn("denoiser_id", "integer", False)
        self._images: Rows = stack.enter_context(
            parquet_rows(folder / "images.parquet", [attempt], ["clean", "attacked"])
        )
        self._restored: Rows = stack.enter_context(
            parquet_rows(folder / "restored.parquet", [attempt, denoiser], ["restored"])
        )

    def add(self, pictures: Pictures) -> None:
        """Write them."""
        of_attempts = zip(pictures.attempts, pictures.clean, pictures.attacked, strict=True)
        self._images.add([(a.id, _file(clean), _file(hit)) for a, clean, hit in of_attempts])
        for number, (ids, images) in pictures.restored.items():
            pairs = zip(ids, rounded(images), strict=True)
            self._restored.add([(i, number, _file(image)) for i, image in pairs])
            self.rows["restored"] += len(ids)
        self.rows["images"] += len(pictures.attempts)


def _file(image: Images) -> dict[str, Any]:
    return {"bytes": encode_png(image), "path": None}


def rounded(images: NDArray[np.float32]) -> Images:
    """Return images in [0, 1] as uint8."""
    found: Images = np.rint(images * 255).astype(np.uint8)
    return found
