"""The images of a gallery: read, restored where the database says so, and packed for a browser."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from pixguard.config import DatasetRequest
from pixguard.datasets.base import ImageDataset, Images
from pixguard.defences.denoisers.registry import changes_nothing
from pixguard.defences.restoring import restore
from pixguard.errors import DataError, PixguardError, UsageError
from pixguard.reports.page.restored_cache import RestoredCache, attacked_key
from pixguard.reports.page.sprites import (
    CELL_SIDE,
    Sheet,
    SheetWriter,
    save_exact,
    strip,
    with_pixels,
)
from pixguard.runner.chunks import in_chunks
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.images import CHUNK, adversarial_images, chunks_alike, decoded
from pixguard.runner.session import Session
from pixguard.runner.subject import open_registered
from pixguard.store import reader
from pixguard.store.gallery import GalleryAttempt
from pixguard.store.reader import StoredModel
from pixguard.words import shell_word


@dataclass
class GalleryImages:
    """Where the images are, as (sheet, place in it).

    Attacked images are drawn by the browser, but for those of dense attacks.

    To be downloaded there are ``clean-IMAGE_ID.png`` and ``attempt-ATTEMPT_ID.png`` beside the
    sheets, for each attempt that succeeded.

    Attributes:
        sheets: the files of thumbnails.
        clean: by image id.
        whole: by attempt id, what dense attacks made.
        restored: by attempt id and denoiser id; the identity has none, it changes nothing.
        strips: attempt id -> the file that holds its large images side by side: clean, then the
            restored ones that it has, in the order of ``strip_denoisers``.
        strip_denoisers: attempt id -> ids of the denoisers in its strip.
        missing: dataset id -> why there are no images, and what to type.
        absent: what else could not be shown, and why.
    """

    sheets: list[Sheet] = field(default_factory=list)
    clean: dict[int, tuple[int, int]] = field(default_factory=dict)
    whole: dict[int, tuple[int, int]] = field(default_factory=dict)
    restored: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    strips: dict[int, str] = field(default_factory=dict)
    strip_denoisers: dict[int, list[int]] = field(default_factory=dict)
    missing: dict[int, tuple[str, str]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)


def collect_images(
    session: Session,
    engine: Engine,
    attempts: Sequence[GalleryAttempt],
    data_dirs: Mapping[str | None, Path],
    folder: Path,
) -> GalleryImages:
    """Write the images of attempts into a folder that exists, and return where each is.

    Restored images are computed once and kept in ``restored/`` beside the database's weights.

    Args:
        session: says where files and weights are, and on which device to restore.
        engine: the database.
        attempts: what the gallery shows.
        data_dirs: dataset name -> where its files are now, for those that were moved; None stands
            for any other.
        folder: for the image files.

    Raises:
        InterruptedRunError: a stop was requested; the images restored so far are kept.
    """
    found = GalleryImages()
    denoisers = {m.id: m for m in reader.models(engine, kind="denoiser")}
    for stored in reader.datasets(engine):
        own = [a for a in attempts if a.dataset_id == stored.id]
        if not own:
            continue
        info = stored.info
        place = data_dirs.get(info.name, data_dirs.get(None))
        request = DatasetRequest(info.name, data_dir=place)
        try:
            dataset = open_registered(engine, stored.id, request, session.display)
            _OfDataset(session, stored.id, dataset, own, folder, found).collect(denoisers)
        except PixguardError as error:
            tell_or_raise(session, f"no images of {info.name}", error)
            moved = f"pixguard report --html DIR --data-dir {shell_word(info.name)}=FOLDER"
            found.missing[stored.id] = UNREADABLE, error.hint if info.is_synthetic else moved
    return found


def tell_or_raise(session: Session, what: str, error: PixguardError) -> None:
    """Say what the page will lack; raise what is not about files: busy, interrupted."""
    if error.kind not in (PixguardError.kind, UsageError.kind, DataError.kind):
        raise error
    session.display.say(f"{what}: {error.message}")


UNREADABLE = "the files could not be read when the page was made"
"""Why, on a page, which is made to be sent: the error itself may tell paths of this computer."""


@dataclass(frozen=True, slots=True)
class _OfDataset:
    """The attempts on one dataset, whose images are found, or missing, together."""

    session: Session
    dataset_id: int
    dataset: ImageDataset
    attempts: Sequence[GalleryAttempt]
    folder: Path
    found: GalleryImages

    def collect(self, denoisers: Mapping[int, StoredModel]) -> None:
        """Write every image; a denoiser that cannot restore is told, and the others go on."""
        cell = max(a.height for a in self.attempts), max(a.width for a in self.attempts)
        self._pack_clean(cell)
        self._pack_whole(cell)
        caches: dict[int, RestoredCache] = {}
        for denoiser_id in sorted({r.denoiser_id for a in self.attempts for r in a.restorations}):
            denoiser, found = denoisers[denoiser_id], self.found
            name = denoiser.record.architecture
            if changes_nothing(name):
                continue
            own = [
                a for a in self.attempts if denoiser_id in {r.denoiser_id for r in a.restorations}
            ]
            try:
                caches[denoiser_id] = self._restored(denoiser, own)
            except PixguardError as error:
                what = f"no images by {name} of {self.dataset.info.name}"
                tell_or_raise(self.session, what, error)
                found.absent.append(f"{what}: {UNREADABLE}")
                continue
            with self._sheets(str(denoiser_id), cell) as writer:
                for attempt in own:
                    image = caches[denoiser_id].get(attacked_key(attempt))
                    found.restored[attempt.id, denoiser_id] = writer.add(image)
        if max(cell) > CELL_SIDE:
            self._write_strips(caches)

    def _sheets(self, name: str, cell: tuple[int, int]) -> SheetWriter:
        return SheetWriter(self.folder, f"{self.dataset_id}-{name}", self.found.sheets, cell)

    def _pack_clean(self, cell: tuple[int, int]) -> None:
        by_image: dict[int, list[GalleryAttempt]] = {}
        for a in self.attempts:
            by_image.setdefault(a.image_id, []).append(a)
        images = [own[0] for own in by_image.values()]
        title = f"reading {self.dataset.info.name}"
        with self._sheets("clean", cell) as writer:
            for chunk in self._in_chunks(title, images, "the page was not written"):
                shown = self.dataset.images([a.image_index for a in chunk])
                for attempt, image in zip(chunk, shown, strict=True):
                    self.found.clean[attempt.image_id] = writer.add(image)
                    self._save_exact(image, by_image[attempt.image_id])

    def _pack_whole(self, cell: tuple[int, int]) -> None:
        dense = [a for a in self.attempts if a.whole is not None]
        if not dense:
            return
        with self._sheets("whole", cell) as writer:
            for attempt in dense:
                assert attempt.whole is not None
                image = decoded(attempt.whole, attempt.image_index)
                self.found.whole[attempt.id] = writer.add(image)

    def _save_exact(self, clean: Images, attempts: Sequence[GalleryAttempt]) -> None:
        """Write a clean image and those that fooled, if any: others are not kept."""
        fooled = [a for a in attempts if a.success]
        for attempt in fooled:
            attacked = (
                with_pixels(clean, attempt.pixels)
                if attempt.whole is None
                else decoded(attempt.whole, attempt.image_index)
            )
            save_exact(attacked, self.folder / f"attempt-{attempt.id}.png")
        if fooled:
            save_exact(clean, self.folder / f"clean-{fooled[0].image_id}.png")

    def _restored(self, stored: StoredModel, own: Sequence[GalleryAttempt]) -> RestoredCache:
        """Return a denoiser's cache with every attempt's restored image in it."""
        session, record = self.session, stored.record
        cache = RestoredCache(session.files / "restored", record.weights_sha256)
        todo = {key: a for a in own if (key := attacked_key(a)) not in cache}
        if not todo:
            return cache
        denoiser = load_denoiser(session, stored, self.dataset.info.channels)
        title = f"restoring with {record.architecture}"
        for chunk in self._in_chunks(title, list(todo.values())):
            _, attacked = adversarial_images(session, self.dataset, chunk)
            images = restore(denoiser, attacked, batch=CHUNK)
            pixels = images.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            cache.add([attacked_key(a) for a in chunk], pixels)
        return cache

    def _write_strips(self, caches: Mapping[int, RestoredCache]) -> None:
        for chunk in self._in_chunks("enlarged images", self.attempts, unit="attempts"):
            images = self.dataset.images([a.image_index for a in chunk])
            for attempt, clean in zip(chunk, images, strict=True):
                owners = [r.denoiser_id for r in attempt.restorations if r.denoiser_id in caches]
                key = attacked_key(attempt)
                restored: list[Images] = [caches[owner].get(key) for owner in owners]
                file = self.folder / f"attempt-{attempt.id}.webp"
                file.write_bytes(strip([clean, *restored]))
                self.found.strips[attempt.id] = f"{self.folder.name}/{file.name}"
                self.found.strip_denoisers[attempt.id] = owners

    def _in_chunks(
        self,
        title: str,
        attempts: Sequence[GalleryAttempt],
        kept: str = "the page was not written; the restored images are kept",
        unit: str = "images",
    ) -> Iterator[Sequence[GalleryAttempt]]:
        chunks = chunks_alike(self.dataset, attempts)
        turns = in_chunks(self.session, title, chunks, len(attempts), kept=kept, unit=unit)
        return (chunk for chunk, _ in turns)
