"""The gallery's images are those of the dataset and the denoisers, pixel by pixel."""

import importlib
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixguard.config import DatasetSettings
from pixguard.datasets.opening import open_dataset
from pixguard.defences.denoisers import build_denoiser
from pixguard.errors import InterruptedRunError
from pixguard.progress import Silent
from pixguard.reports.page import images as page_images
from pixguard.reports.page.images import GalleryImages, collect_images
from pixguard.reports.page.restored_cache import RestoredCache, attacked_key
from pixguard.reports.page.sprites import CELL_SIDE, Sheet, SheetWriter, fit, scaled
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import open_engine
from pixguard.store.gallery import GalleryAttempt, sample_attempts

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
make_database = importlib.import_module("benchmarks.page_database").make_database

COUNT = 24


class StopAfterRestoring:
    """Asks to stop as soon as a batch of restored images is there."""

    def __init__(self, files: Path) -> None:
        self.files = files

    @property
    def requested(self) -> bool:
        return any(self.files.rglob("*.npz"))


def session(folder: Path, stop: object = None) -> Session:
    database = str(folder / "p.db")
    device = torch.device("cpu")
    return Session(database, folder / "p-files", device, Silent(), stop or Silent(), "pixguard x")  # type: ignore[arg-type]


def collect(folder: Path, **options: Path) -> tuple[list[GalleryAttempt], GalleryImages]:
    engine = open_engine(str(folder / "p.db"))
    (folder / "images").mkdir(exist_ok=True)
    attempts = sample_attempts(engine, 1000)
    images = collect_images(session(folder), engine, attempts, options, folder / "images")
    engine.dispose()
    return attempts, images


def cell(folder: Path, images: GalleryImages, place: tuple[int, int], side: int) -> np.ndarray:
    sheet = images.sheets[place[0]]
    row, column = divmod(place[1], sheet.columns)
    left, top = column * sheet.cell_width, row * sheet.cell_height
    return np.asarray(Image.open(folder / sheet.file).crop((left, top, left + side, top + side)))


@pytest.mark.parametrize(("name", "size"), [("derma", 28), ("oct", 128)])
def test_images_are_the_datasets_and_the_denoisers(tmp_path: Path, name: str, size: int) -> None:
    make_database(tmp_path / "p.db", COUNT, names=[name], size=size)
    attempts, images = collect(tmp_path)
    dataset = open_dataset(DatasetSettings(name, "phantom", size, phantom_images=50), Silent())
    median = build_denoiser("median", dataset.info.channels)
    denoisers = {
        m.id: m.record.architecture for m in reader.models(open_engine(f"{tmp_path}/p.db"))
    }
    assert len(attempts) == COUNT and not images.missing
    restored = 0
    sheets = (tmp_path / images.sheets[0].file).parent
    for attempt in attempts:
        clean = dataset.images([attempt.image_index])[0]
        side = min(size, CELL_SIDE)
        shown = cell(tmp_path, images, images.clean[attempt.image_id], side)
        np.testing.assert_array_equal(shown, np.asarray(scaled(clean, CELL_SIDE)))
        attacked = clean.copy()
        for pixel in attempt.pixels:
            attacked[pixel.row, pixel.col] = pixel.after
        exact = {f"clean-{attempt.image_id}": clean, f"attempt-{attempt.id}": attacked}
        assert (sheets / f"attempt-{attempt.id}.png").exists() is attempt.success
        for file, expected_image in exact.items() if attempt.success else ():
            found = np.atleast_3d(np.asarray(Image.open(sheets / f"{file}.png")))
            np.testing.assert_array_equal(found, expected_image)
        for restoration in attempt.restorations:
            if denoisers[restoration.denoiser_id] == "identity":
                assert (attempt.id, restoration.denoiser_id) not in images.restored
                continue
            tensor = torch.from_numpy(attacked).permute(2, 0, 1)[None].float() / 255
            expected = (median(tensor).clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0)
            place = images.restored[attempt.id, restoration.denoiser_id]
            shown = cell(tmp_path, images, place, side)
            np.testing.assert_array_equal(shown, np.asarray(scaled(expected.numpy(), CELL_SIDE)))
            restored += 1
    assert restored == len(images.restored) > 0
    assert set(images.strips) == (set() if size <= CELL_SIDE else {a.id for a in attempts})
    for attempt in attempts:
        if attempt.id in images.strips:
            width = size * (1 + len(images.strip_denoisers[attempt.id]))
            assert Image.open(tmp_path / images.strips[attempt.id]).size == (width, size)


def test_a_restored_image_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_database(tmp_path / "p.db", COUNT, names=["oct"])
    _, first = collect(tmp_path)
    before = {p.name: p.read_bytes() for p in (tmp_path / "images").iterdir()}
    monkeypatch.setattr(page_images, "restore", None)  # would raise if it were called
    _, second = collect(tmp_path)
    assert first == second
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "images").iterdir()}


def test_a_stop_keeps_what_was_restored(tmp_path: Path) -> None:
    make_database(tmp_path / "p.db", COUNT, names=["oct"])
    engine = open_engine(str(tmp_path / "p.db"))
    (tmp_path / "images").mkdir()
    attempts = sample_attempts(engine, 1000)
    with pytest.raises(InterruptedRunError, match="page was not written"):
        stopping = session(tmp_path, StopAfterRestoring(tmp_path / "p-files"))
        collect_images(stopping, engine, attempts, {}, tmp_path / "images")
    kept = len(list((tmp_path / "p-files").rglob("*.npz")))
    _, images = collect(tmp_path)
    assert images.restored and len(list((tmp_path / "p-files").rglob("*.npz"))) >= kept > 0


def test_a_dataset_that_is_gone_is_told_and_the_others_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(tmp_path / "p.db", COUNT)
    opened = page_images.open_registered

    def gone(engine: object, dataset_id: int, *rest: object) -> object:
        if dataset_id == 1:
            raise page_images.DataError("the files are gone", "bring them back")
        return opened(engine, dataset_id, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(page_images, "open_registered", gone)
    attempts, images = collect(tmp_path)
    assert images.missing == {1: (page_images.UNREADABLE, "bring them back")}
    assert {a.image_id for a in attempts if a.dataset_id == 2} == set(images.clean)


def test_a_denoiser_without_its_weights_is_told_and_the_others_are_shown(tmp_path: Path) -> None:
    make_database(tmp_path / "p.db", COUNT, names=["oct"])
    with sqlite3.connect(tmp_path / "p.db") as database:
        database.execute(
            "UPDATE model SET architecture = 'dae', weights_file = 'gone.safetensors' "
            "WHERE architecture = 'median'"
        )
    database.close()
    attempts, images = collect(tmp_path)
    (told,) = images.absent
    assert told == f"no images by dae of oct: {page_images.UNREADABLE}"
    assert not images.missing and not images.restored
    assert {a.image_id for a in attempts} == set(images.clean)


def test_a_damaged_batch_of_the_cache_counts_as_absent(tmp_path: Path) -> None:
    cache = RestoredCache(tmp_path, "w" * 64)
    images = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4, 1)
    cache.add(["k1", "k2"], images)
    again = RestoredCache(tmp_path, "w" * 64)
    np.testing.assert_array_equal(again.get("k2"), images[1])
    (file,) = cache.folder.glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    assert "k1" not in RestoredCache(tmp_path, "w" * 64)
    assert "k1" not in RestoredCache(tmp_path, "v" * 64)


def test_the_key_of_an_attacked_image_is_its_content(tmp_path: Path) -> None:
    make_database(tmp_path / "p.db", COUNT, names=["oct"])
    attempts = sample_attempts(open_engine(str(tmp_path / "p.db")), 1000)
    contents = {(a.image_sha256, a.pixels) for a in attempts}
    assert len({attacked_key(a) for a in attempts}) == len(contents)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((28, 28), (28, 28)), ((96, 40), (96, 40)), ((224, 224), (96, 96)), ((1000, 3), (96, 1))],
)
def test_thumbnails_keep_their_shape(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit(shape, CELL_SIDE) == expected


def test_sheets_are_full_before_the_next_begins(tmp_path: Path) -> None:
    sheets: list[Sheet] = []
    writer = SheetWriter(tmp_path, "x", sheets, (96, 96))
    images = np.random.default_rng(0).integers(0, 256, (60, 96, 96, 1), dtype=np.uint8)
    places = [writer.add(image) for image in images]
    writer.finish()
    first = [place for sheet, place in places if sheet == 0]
    assert first == list(range(len(first))) and places[len(first)] == (1, 0)
    side = Image.open(tmp_path / "x-0.png").size
    assert side[0] * side[1] <= 1 << 19 and len(first) == side[0] // 96 * (side[1] // 96)
    for image, place in zip(images, places, strict=True):
        shown = cell(tmp_path.parent, GalleryImages(sheets=sheets), place, 96)
        np.testing.assert_array_equal(shown, image[..., 0])
