"""Tables 3 to 5 and the training times, from rows that can be worked out by hand."""

import json
import math

import pytest

from pixguard.errors import UsageError
from pixguard.reports.build import build_table, list_tables
from pixguard.reports.report_table import Cell, ReportTable
from pixguard.reports.specs import table_spec
from pixguard.statistics import mean_interval
from pixguard.store import tables as t
from reports.reports_miniature import Miniature

Score = float | str


class Denoisings:
    """Writes denoisers of Medical MNIST and what they make of noisy images."""

    def __init__(self, db: Miniature, **dataset: object) -> None:
        self.db = db
        self.dataset = db.dataset("medicalmnist", [(0, "AbdomenCT", None)], size=64, **dataset)
        self.images = [db.image(self.dataset, "0") for _ in range(4)]
        found = db.engine.connect().execute(t.Metric.__table__.select()).all()
        self.metrics = {m.name: m.id for m in found} or db.metrics()

    def denoiser(self, name: str, variant: str | None = None, **settings: object) -> int:
        own = {"epochs": 100, "only_class": "AbdomenCT", "training_images": 7000, "seed": 0}
        own |= {"name": name, "variant": variant, "training_key": f"{name} {variant}", **settings}
        values = {} if name in ("identity", "median") else {"hyperparameters": json.dumps(own)}
        seconds = {"training_seconds": 125.0, "epochs": own["epochs"]}
        return self.db.model("denoiser", name, self.dataset, **values, **seconds)

    def restore(self, denoiser: int, *psnr: Score, level: float = 0.1, seed: int = 0) -> None:
        for image, value in zip(self.images, psnr, strict=False):
            number = self.db.add(
                t.Denoising,
                denoising_key=f"{denoiser} {image} {level} {seed}",
                denoiser_id=denoiser,
                image_id=image,
                noise="impulse",
                level=level,
                seed=seed,
                run_id=1,
                elapsed_ms=1.0,
            )
            for metric, one in (("psnr", value), ("ssim", 0.5)):
                self.db.add(
                    t.DenoisingScore,
                    denoising_id=number,
                    metric_id=self.metrics[metric],
                    value=None if isinstance(one, str) else one,
                    value_kind=one if isinstance(one, str) else "finite",
                )


def rows(table: ReportTable) -> dict[str, dict[str, Cell]]:
    names = [column.name for column in table.columns]
    return {str(r.cells[0].value): dict(zip(names, r.cells, strict=True)) for r in table.rows}


def test_each_step_is_judged_by_its_paired_interval(empty: Miniature) -> None:
    mini = Denoisings(empty)
    for variant, psnr in (
        (("autoencoder",), (20.0, 22.0, 24.0, "inf")),
        (("dae", "depth-and-kernels"), (21.0, 23.5, 24.9, 30.0)),  # +1, +1.5, +0.9
        (("dae", "batch-norm"), (20.0, 22.5, 23.9, 29.0)),  # -1 each
        (("dae", "attention"), (21.0, 21.5, 23.9, 29.0)),  # +1, -1, 0, 0
    ):
        mini.restore(mini.denoiser(*variant), *psnr)
    table = build_table(empty.engine, table_spec(4), paper=True)
    found = rows(table)
    original = found["Original [9]"]
    assert (original["PSNR"].value, original["PSNR"].note) == (22.0, "1 inf")
    assert original["PSNR"].published == 29.46
    assert original["median PSNR"].value == 23.0
    assert original["images"].value == 4
    assert found["√+★+▲+●"]["PSNR"].not_run
    notes = [note for note in table.notes if "in the paper" in note and ": PSNR" in note]
    assert [note.rsplit(": ", 1)[1] for note in notes] == ["agrees.", "disagrees.", "undecided."]
    mean, squares = 3.4 / 3, sum((d - 3.4 / 3) ** 2 for d in (1, 1.5, 0.9))
    low, high = mean_interval(mean, squares, 3) or (0, 0)
    assert f"PSNR {mean:+.2f} dB ({low:+.2f} to {high:+.2f}, 3 images)" in notes[0]
    assert "+1.19 dB" in notes[0]  # the paper's 30.65 - 29.46
    (order,) = [note for note in table.notes if note.startswith("The paper's order")]
    assert order.endswith("3 of 5 steps measured: 1 agrees, 1 disagrees, 1 undecided.")


def test_plans_are_never_mixed_and_the_newest_is_shown(empty: Miniature) -> None:
    mini = Denoisings(empty)
    mini.restore(mini.denoiser("autoencoder"), 20.0)
    mini.restore(mini.denoiser("dae", epochs=5, training_key="x"), 40.0)
    table = build_table(empty.engine, table_spec(4))
    found = rows(table)
    assert found["Proposed (√+★+▲+●+♦)"]["PSNR"].value == 40.0
    gap = found["Original [9]"]["PSNR"]
    assert gap.value is None
    assert gap.not_run and "denoise ablation" in gap.not_run and "--epochs 5" in gap.not_run
    assert "epochs: 5" in table.caption[0] and "class AbdomenCT" in table.caption[0]
    assert "Other plans with denoisers of this table: 1; the newest is shown." in table.notes


def test_identity_counts_the_images_and_the_noise_of_the_plan_alone(empty: Miniature) -> None:
    mini = Denoisings(empty)
    identity = mini.denoiser("identity")
    mini.restore(identity, 10.0, 20.0, 90.0, 90.0)
    mini.restore(identity, 1.0, 1.0, 1.0, seed=5)
    mini.restore(identity, 2.0, 2.0, 2.0, level=0.2)
    mini.restore(mini.denoiser("dae"), 30.0, 32.0)
    found = rows(build_table(empty.engine, table_spec(5)))
    assert (found["identity"]["PSNR"].value, found["identity"]["images"].value) == (15.0, 2)
    assert found["Proposed (4 Layer)"]["PSNR"].value == 31.0
    assert found["median"]["PSNR"].not_run


def test_only_infinite_values_and_lacking_metrics(empty: Miniature) -> None:
    mini = Denoisings(empty)
    mini.restore(mini.denoiser("dae"), "inf", "inf")
    proposed = rows(build_table(empty.engine, table_spec(3)))["Proposed DAE"]
    assert proposed["PSNR"].value == proposed["median PSNR"].value == math.inf
    assert proposed["FSIM"].value is None and proposed["FSIM"].not_run


def test_other_images_show_no_published_values(empty: Miniature) -> None:
    mini = Denoisings(empty, source="phantom")
    mini.restore(mini.denoiser("dae"), 30.0)
    table = build_table(empty.engine, table_spec(4), paper=True)
    assert all(cell.published is None for row in table.rows for cell in row.cells)
    assert "phantom data" in table.title and "phantom data" in table.caption[0]
    real = Denoisings(empty)
    real.restore(real.denoiser("dae", only_class="HeadCT"), 31.0)
    table = build_table(empty.engine, table_spec(4), paper=True)
    found = rows(table)["Proposed (√+★+▲+●+♦)"]["PSNR"]
    assert (found.value, found.published) == (31.0, None)
    listed = {str(r.cells[0].value): r.cells[2].value for r in list_tables(empty.engine).rows}
    assert listed["4"] == "other data"
    real.restore(real.denoiser("dae"), 31.0)
    listed = {str(r.cells[0].value): r.cells[2].value for r in list_tables(empty.engine).rows}
    assert listed["4"] == "as in the paper"


def test_a_dataset_with_denoisers_alone_can_be_asked_for(empty: Miniature) -> None:
    mini = Denoisings(empty)
    mini.restore(mini.denoiser("dae"), 30.0)
    build_table(empty.engine, table_spec(4), dataset="medicalmnist")
    with pytest.raises(UsageError, match="'brain'"):
        build_table(empty.engine, table_spec(4), dataset="brain")


def test_training_times_stand_beside_the_papers_only_where_they_are_of_its_kind(
    empty: Miniature,
) -> None:
    derma = empty.dataset("derma", [(0, "a", None)])
    settings = {"training_images": 7010, "variant": None, "only_class": None}

    def train(name: str, dataset: int = derma, **own: object) -> int:
        hyperparameters = json.dumps(settings | own)
        times = {"training_seconds": 125.0, "epochs": 50}
        return empty.model("denoiser", name, dataset, hyperparameters=hyperparameters, **times)

    proposed, attention = train("dae"), train("dae", variant="attention")
    phantom = train("autoencoder", empty.dataset("derma", [(0, "a", None)], source="phantom"))
    train("dae", empty.dataset("oct", [(0, "a", None)]))
    empty.model("denoiser", "identity", derma, epochs=0)
    table = build_table(empty.engine, table_spec(48), paper=True)
    found = rows(table)
    assert list(found) == [
        f"dae #{proposed}",
        "noise2noise",
        "median-cnn",
        "autoencoder",
        f"autoencoder #{phantom}",
        f"dae #{attention} (attention)",
    ]
    own = found[f"dae #{proposed}"]
    assert (own["count"].value, own["count"].published) == (7010, 10015)
    assert (own["time"].value, own["seconds"].value) == ("2 min 5 s", 125.0)
    assert (own["seconds"].published, own["seconds an epoch"].value) == (3844, 2.5)
    assert own["computer"].value == "c"
    assert found["noise2noise"]["seconds"].published == 5224
    assert "--model noise2noise" in str(found["noise2noise"]["seconds"].not_run)
    assert found[f"autoencoder #{phantom}"]["seconds"].published is None
    assert [row.in_paper for row in table.rows] == [True] * 4 + [False] * 2
    other = rows(build_table(empty.engine, table_spec(48), dataset="oct", paper=True))
    assert [name.split(" #")[0] for name in other] == [
        "dae", "noise2noise", "median-cnn", "autoencoder"
    ]  # fmt: skip
    assert all(cell.published is None for row in other.values() for cell in row.values())


def test_training_times_of_classifiers(mini: Miniature) -> None:
    found = rows(build_table(mini.engine, table_spec(44), paper=True))
    own = [name for name in found if name.startswith("oct #")]
    assert len(own) == 2
    assert found[own[0]]["seconds"].published == 2792
    assert found[own[0]]["count"].note == "not recorded"
    assert "--model resnet50" in str(found["pathology"]["seconds"].not_run)
    assert not any(name.startswith("pneumoniamnist") for name in found)  # a small CNN
