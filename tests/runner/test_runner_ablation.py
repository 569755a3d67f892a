"""Plans of denoisers: resumed, interrupted and killed they come to the same; the noise is one."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.cli.denoise_plans import PLANS as COMMANDS
from pixguard.config import DenoiserSettings
from pixguard.datasets.base import ImageDataset
from pixguard.defences.denoisers.registry import ALWAYS
from pixguard.defences.denoisers.variants import TABLE_4, TABLE_5
from pixguard.defences.restoring import restore
from pixguard.errors import InterruptedRunError, UsageError
from pixguard.metrics import METRICS
from pixguard.models.inputs import to_unit_range
from pixguard.progress import Silent
from pixguard.records import ClassInfo, DatasetInfo
from pixguard.reports.build import build_table
from pixguard.reports.specs import table_spec
from pixguard.reports.tables.ablation import MEMBERS, PLAN_OF_TABLE
from pixguard.runner import ablation
from pixguard.runner.ablation import PLANS, noisy_images, run_plan
from pixguard.runner.denoisers import load_denoiser
from pixguard.runner.session import Session
from pixguard.store import reader
from pixguard.store.engine import open_engine
from support import StopAfter

SIDE, TEST_IMAGES = 28, 10
SETTINGS = DenoiserSettings("dae", epochs=1, batch_size=4, only_class="round", seed=3)


def make_dataset(test_images: int = TEST_IMAGES, side: int = SIDE) -> ImageDataset:
    """Return discs of class ``round`` and bars of class ``flat``, in turn."""
    count = 2 * (8 + 4 + test_images)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    images = np.zeros((count, SIDE, SIDE, 1), np.uint8)
    for i in range(count):
        inside = (rows - 14) ** 2 + (cols - 14) ** 2 < 30 + 4 * i if i % 2 else rows < 5 + i % 20
        images[i, ..., 0] = 40 + 3 * i * inside
    info = DatasetInfo(
        "shapes", "folder", side, "v", "paper", 0, "m" * 64, "multi-class", 1,
        (ClassInfo(0, "flat"), ClassInfo(1, "round")),
    )  # fmt: skip
    splits = np.repeat(np.array([0, 1, 2], np.uint8), [16, 8, 2 * test_images])
    return ImageDataset(info, np.arange(count) % 2, splits, lambda i: images[i, :side, :side])


DATASET = make_dataset()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "CHUNK", 4)


def session(folder: Path, stop: Silent | None = None) -> Session:
    folder.mkdir(exist_ok=True)
    return Session(
        str(folder / "p.db"),
        folder / "files",
        torch.device("cpu"),
        Silent(),
        stop or Silent(),
        "pixguard denoise validate",
    )


def run(folder: Path, stop: Silent | None = None, *, resume: bool = True, **changes: object):
    test_limit = changes.pop("test_limit", None)
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return run_plan(session(folder, stop), DATASET, "validate", settings, test_limit, resume=resume)


def scores(folder: Path) -> dict[tuple[object, ...], float]:
    """Return (denoiser, weights, image, metric) -> value."""
    database = sqlite3.connect(folder / "p.db")
    rows = database.execute(
        "SELECT m.architecture, m.weights_sha256, i.dataset_index, k.name, s.value "
        "FROM denoising n JOIN denoising_score s ON s.denoising_id = n.id "
        "JOIN metric k ON k.id = s.metric_id JOIN model m ON m.id = n.denoiser_id "
        "JOIN image i ON i.id = n.image_id"
    ).fetchall()
    database.close()
    found = {tuple(row[:4]): row[4] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan that ran through, in batches of 4."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "CHUNK", 4)
        result = run(folder, resume=False)
    assert {own["judged"] for own in result["denoisers"]} == {TEST_IMAGES}
    return folder


def test_every_denoiser_is_scored_once_on_test_images_of_the_class_alone(whole: Path) -> None:
    found = scores(whole)
    assert len(found) == (2 + len(ALWAYS)) * TEST_IMAGES * len(METRICS)
    tested = {int(i) for i in DATASET.indices("test") if DATASET.label_set(int(i)) == (1,)}
    assert {index for _, _, index, _ in found} == tested
    assert {name for name, *_ in found} == {*ALWAYS, "autoencoder", "dae"}


def test_a_finished_plan_needs_resume_and_then_adds_nothing(whole: Path) -> None:
    before = scores(whole)
    with pytest.raises(UsageError, match="2 of the 2 denoisers") as caught:
        run(whole, resume=False)
    assert "--resume" in caught.value.hint
    again = run(whole)
    assert {own["judged"] for own in again["denoisers"]} == {0}
    assert scores(whole) == before


def test_an_interrupted_plan_ends_as_one_that_was_not(whole: Path, tmp_path: Path) -> None:
    stops = 0
    for looks in (1, 3, 4, 6, 9):
        try:
            run(tmp_path / "cut", StopAfter(looks))
        except InterruptedRunError:
            stops += 1
    run(tmp_path / "cut")
    assert stops >= 4
    assert scores(tmp_path / "cut") == scores(whole)


def test_lost_rows_are_made_again_bit_for_bit(whole: Path, tmp_path: Path) -> None:
    """As if killed within a batch: what is missing may lie anywhere in it."""
    with sqlite3.connect(whole / "p.db") as source, sqlite3.connect(tmp_path / "p.db") as target:
        source.backup(target)
        target.execute("DELETE FROM denoising_score WHERE denoising_id % 3 = 0")
        target.execute("DELETE FROM denoising WHERE id % 3 = 0 AND id % 2 = 0")
    (tmp_path / "files").symlink_to(whole / "files")
    run(tmp_path)
    assert scores(tmp_path) == scores(whole)


def test_all_denoisers_see_the_same_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def spy(denoiser: torch.nn.Module, images: torch.Tensor, *, batch: int) -> torch.Tensor:
        seen.append(images.clone())
        return restore(denoiser, images, batch=batch)

    monkeypatch.setattr(ablation, "restore", spy)
    run(tmp_path, test_limit=6)
    first, *others = [torch.cat(seen[at : at + 2]) for at in range(0, len(seen), 2)]
    assert len(first) == 6 and len(others) == 1 + len(ALWAYS)
    assert all(torch.equal(first, other) for other in others)


def test_noise_depends_on_seed_and_index_alone() -> None:
    clean = torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    indices = [7, 2, 9, 4, 11]
    together = noisy_images(clean, indices, 0.1, 3)
    alone = [noisy_images(clean[i, None], [indices[i]], 0.1, 3) for i in (4, 0)]
    assert torch.equal(together[[4, 0]], torch.cat(alone))
    changed = (together != clean).any(1)
    assert 0.08 < changed.float().mean() < 0.12
    assert not torch.equal(changed[0], changed[1])
    assert not torch.equal(together, noisy_images(clean, indices, 0.1, 4))


def test_the_report_is_what_a_direct_computation_gives(whole: Path) -> None:
    engine = open_engine(str(whole / "p.db"))
    table = build_table(engine, table_spec(3), dataset="shapes")
    models = {m.record.architecture: m for m in reader.models(engine, kind="denoiser")}
    engine.dispose()
    indices = [int(i) for i in DATASET.indices("test") if DATASET.label_set(int(i)) == (1,)]
    clean = to_unit_range(DATASET.images(indices), torch.device("cpu"))
    noisy = noisy_images(clean, indices, SETTINGS.noise, SETTINGS.seed)
    names = [column.name for column in table.columns]
    expected = {}
    for name in ("autoencoder", "dae", "identity", "median"):
        denoiser = load_denoiser(session(whole), models[name], 1)
        restored = restore(denoiser, noisy, batch=64)
        values = {n: METRICS.load(n).function(restored, clean) for n in METRICS.names}
        expected[name] = values["psnr"]
        place = ["Test (reproduction)", "Proposed DAE", "identity", "median"][len(expected) - 1]
        (row,) = [row for row in table.rows if row.cells[0].value == place]
        cells = dict(zip(names, row.cells, strict=True))
        for metric, own in values.items():
            assert cells[metric.upper()].value == pytest.approx(own.mean().item(), rel=1e-5)
        assert cells["images"].value == TEST_IMAGES
    steps = (expected["dae"] - expected["autoencoder"]).numpy()
    half = 1.959964 * steps.std(ddof=1) / len(steps) ** 0.5
    text = f"PSNR {steps.mean():+.2f} dB ({steps.mean() - half:+.2f} to {steps.mean() + half:+.2f}"
    assert any(text in note for note in table.notes)


def test_unknown_classes_and_sets_without_test_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no class 'square'"):
        run(tmp_path, only_class="square")
    with pytest.raises(UsageError, match="no test images of class 'round'"):
        run_plan(session(tmp_path), make_dataset(0), "validate", SETTINGS, None, resume=False)
    assert not (tmp_path / "p.db").exists()


def test_images_too_small_for_a_metric_have_none_and_the_table_names_no_command(
    tmp_path: Path,
) -> None:
    run_plan(session(tmp_path), make_dataset(4, 10), "validate", SETTINGS, None, resume=False)
    table = build_table(open_engine(str(tmp_path / "p.db")), table_spec(3))
    place = [column.name for column in table.columns].index("SSIM")
    measured = [row.cells[place] for row in table.rows if row.cells[place].note != "quoted"]
    assert {(cell.note, cell.not_run) for cell in measured} == {("needs 11 pixels", None)}
    assert table.commands == ()


def test_the_report_knows_the_denoisers_of_every_plan() -> None:
    for number, plan in PLAN_OF_TABLE.items():
        members = [member for member in MEMBERS[number] if member is not None]
        assert members == [(v.denoiser, v.name) for v in PLANS[plan]]
    for number, variants in ((4, TABLE_4), (5, TABLE_5)):
        printed = [row.cells[0].value for row in _empty_table(number).rows]
        assert printed[: len(variants)] == [v.label for v in variants]
    assert set(COMMANDS) == set(PLANS) == set(PLAN_OF_TABLE.values())
    assert ablation.ALWAYS == ALWAYS


def _empty_table(number: int):
    from sqlalchemy import create_engine

    from pixguard.store.tables import Base

    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    return build_table(engine, table_spec(number))


def test_the_command_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = "denoise validate --dataset oct --source phantom --size 28 --epochs 1 --limit 8"
    wrong = CliRunner().invoke(app, [*command.split(), "--only-class", "AbdomenCT"])
    assert wrong.exit_code == 2 and "no class 'AbdomenCT'" in wrong.output
    done = CliRunner().invoke(app, [*command.split(), "--test-limit", "4"])
    assert done.exit_code == 0, done.output
    shown = CliRunner().invoke(app, "report --table 3 --dataset oct --sql".split())
    assert shown.exit_code == 0, shown.output
    sqlite3.connect("pixguard.db").executescript(shown.stdout)
    text = CliRunner().invoke(app, "report --table 3 --dataset oct --paper".split()).stdout
    assert "phantom data" in text and "values are not shown" in " ".join(text.split())
