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
from pixguard.reports.page.sprites import CELL_SIDE, Sheet, SheetWriter, strip
from pixguard.runner.chunks import cut, in_chunks
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.images import CHUNK, adversarial_images
from pixguard.runner.session import Session
from pixguard.runner.subject import open_registered
from pixguard.store import reader
from pixguard.store.gallery import GalleryAttempt
from pixguard.store.reader import StoredDataset, StoredModel

RESTORED_IS_KEPT = "the page was not written; the restored images are kept"


@dataclass
class GalleryImages:
    """Where the images are, as (sheet, place in it); attacked images are drawn by the browser.

    Attributes:
        sheets: the files of thumbnails.
        clean: by image id.
        restored: by attempt id and denoiser id; the identity has none, it changes nothing.
        strips: attempt id -> the file that holds its large images side by side: clean, then the
            restored ones that it has, in the order of ``strip_denoisers``.
        strip_denoisers: attempt id -> ids of the denoisers in its strip.
        missing: dataset id -> why there are no images, and what to type.
        absent: what else could not be shown, and why.
    """

    sheets: list[Sheet] = field(default_factory=list)
    clean: dict[int, tuple[int, int]] = field(default_factory=dict)
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
            _of_dataset(session, stored, dataset, own, denoisers, folder, found)
        except PixguardError as error:
            _tell_or_raise(session, f"no images of {info.name}", error)
            moved = f"pixguard report --html DIR --data-dir {info.name}=FOLDER"
            found.missing[stored.id] = error.message, error.hint if info.is_synthetic else moved
    return found


def _tell_or_raise(session: Session, what: str, error: PixguardError) -> str:
    """Say and return what the page will lack; raise what is not about files: busy, interrupted."""
    if error.kind not in (PixguardError.kind, UsageError.kind, DataError.kind):
        raise error
    told = f"{what}: {error.message}"
    session.display.say(told)
    return told


def _of_dataset(
    session: Session,
    stored: StoredDataset,
    dataset: ImageDataset,
    attempts: Sequence[GalleryAttempt],
    denoisers: Mapping[int, StoredModel],
    folder: Path,
    found: GalleryImages,
) -> None:
    cell = max(a.height for a in attempts), max(a.width for a in attempts)
    _pack_clean(
        session,
        stored,
        dataset,
        attempts,
        SheetWriter(folder, f"{stored.id}-clean", found.sheets, cell),
        found,
    )
    caches: dict[int, RestoredCache] = {}
    for denoiser_id in sorted({r.denoiser_id for a in attempts for r in a.restorations}):
        denoiser = denoisers[denoiser_id]
        if changes_nothing(denoiser.record.architecture):
            continue
        own = [a for a in attempts if any(r.denoiser_id == denoiser_id for r in a.restorations)]
        try:
            caches[denoiser_id] = _restored(session, dataset, denoiser, own)
        except PixguardError as error:
            what = f"no images by {denoiser.record.architecture} of {dataset.info.name}"
            found.absent.append(_tell_or_raise(session, what, error))
            continue
        writer = SheetWriter(folder, f"{stored.id}-{denoiser_id}", found.sheets, cell)
        for attempt in own:
            image = caches[denoiser_id].get(attacked_key(attempt))
            found.restored[attempt.id, denoiser_id] = writer.add(image)
        writer.finish()
    if max(cell) > CELL_SIDE:
        _write_strips(session, dataset, attempts, caches, folder, found)


def _pack_clean(
    session: Session,
    stored: StoredDataset,
    dataset: ImageDataset,
    attempts: Sequence[GalleryAttempt],
    writer: SheetWriter,
    found: GalleryImages,
) -> None:
    first = {a.image_id: a for a in attempts}
    title, chunks = f"reading {stored.info.name}", _chunks(list(first.values()))
    kept = "the page was not written"
    for chunk, _ in in_chunks(session, title, chunks, len(first), kept=kept):
        images = dataset.images([a.image_index for a in chunk])
        for attempt, image in zip(chunk, images, strict=True):
            found.clean[attempt.image_id] = writer.add(image)
    writer.finish()


def _restored(
    session: Session,
    dataset: ImageDataset,
    stored: StoredModel,
    attempts: Sequence[GalleryAttempt],
) -> RestoredCache:
    """Return a denoiser's cache with every attempt's restored image in it."""
    cache = RestoredCache(session.files / "restored", stored.record.weights_sha256)
    todo = {key: a for a in attempts if (key := attacked_key(a)) not in cache}
    if not todo:
        return cache
    denoiser = load_denoiser(session, stored, dataset.info.channels)
    title, chunks = f"restoring with {stored.record.architecture}", _chunks(list(todo.values()))
    for chunk, _ in in_chunks(session, title, chunks, len(todo), kept=RESTORED_IS_KEPT):
        _, attacked = adversarial_images(session, dataset, chunk)
        images = restore(denoiser, attacked, batch=CHUNK)
        pixels = images.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        cache.add([attacked_key(a) for a in chunk], pixels)
    return cache


def _write_strips(
    session: Session,
    dataset: ImageDataset,
    attempts: Sequence[GalleryAttempt],
    caches: Mapping[int, RestoredCache],
    folder: Path,
    found: GalleryImages,
) -> None:
    for chunk, _ in in_chunks(
        session,
        "enlarged images",
        _chunks(attempts),
        len(attempts),
        kept=RESTORED_IS_KEPT,
        unit="attempts",
    ):
        images = dataset.images([a.image_index for a in chunk])
        for attempt, clean in zip(chunk, images, strict=True):
            owners = [r.denoiser_id for r in attempt.restorations if r.denoiser_id in caches]
            key = attacked_key(attempt)
            restored: list[Images] = [caches[owner].get(key) for owner in owners]
            file = folder / f"attempt-{attempt.id}.webp"
            file.write_bytes(strip([clean, *restored]))
            found.strips[attempt.id] = f"{folder.name}/{file.name}"
            found.strip_denoisers[attempt.id] = owners


def _chunks(attempts: Sequence[GalleryAttempt]) -> Iterator[Sequence[GalleryAttempt]]:
    """Yield attempts in chunks of one shape and number of pixels, each for one tensor."""
    groups: dict[tuple[int, int, int], list[GalleryAttempt]] = {}
    for attempt in attempts:
        kind = attempt.height, attempt.width, len(attempt.pixels)
        groups.setdefault(kind, []).append(attempt)
    for group in groups.values():
        yield from cut(group, CHUNK)
