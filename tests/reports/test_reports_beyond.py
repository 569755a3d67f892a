"""What holds for every table that the paper lacks: formats, queries, width, command line."""

import csv
import io
import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.records import (
    PIXEL_MAP,
    PIXEL_SAMPLE,
    PIXEL_SURVEY,
    PIXEL_UNIVERSAL,
    PixelMap,
    PixelSample,
)
from pixguard.reports.build import build_table
from pixguard.reports.formats import FORMATS
from pixguard.reports.render import render, render_sql
from pixguard.reports.report_table import Cell, Column, ReportTable, Row
from pixguard.reports.specs import table_spec, table_specs
from pixguard.store import tables as t
from pixguard.store.engine import open_engine
from postgresql import SQLITE_ONLY
from reports.reports_miniature import Miniature

NAMES = [name for name in table_specs() if isinstance(name, str)]
WORDS = {
    "accuracy": "resnet50",
    "by-class": "success rate",
    "denoising": "recovered",
    "success": "percentage",
    "certified": "polyphase",
    "recovery": "dae",
    "defences": "dae",
    "dense": "fgsm",
    "paired": "identity",
    "classes": "share",
    "labels": "missed",
    "label-sets": "success rate",
    "severity": "mean cost",
    "pixels": "r4 c4",
    "least-flips": "harmless",
}
"""What stands in a table that names no attack."""


@pytest.fixture
def mini_phantom(mini: Miniature) -> Miniature:
    """The miniature with all that the tables beyond the paper ask for, on its phantoms."""
    derma, phantom = 4, 6
    fooled = mini.attempt(1, phantom, mini.image(derma, "4"), 1)
    mini.pixel(fooled, 0, 27)
    step = mini.attack(0, "fgsm", parameters='{"eps": 4.0, "norm": "linf"}')
    stepped = mini.attempt(step, phantom, mini.image(derma, "4"), 1)
    mini.add(t.WholeImage, attempt_id=stepped, sha256="s", png=b"", linf=4, l2=0.1)
    metric = mini.metrics()["psnr"]
    for name in ("identity", "dae"):
        denoiser = mini.model("denoiser", name, derma)
        mini.score(mini.restoration(fooled, 1, phantom, denoiser, 1), metric, 30.0)
    search = mini.attack(1, "exhaustive", parameters='{"space":"all-values"}')
    trained = {"normal": "Melanoma", "nu": 0.05, "epochs": 1, "seed": 0, "training_images": 9}
    svm = mini.model("detector", "one-class-svm", derma, hyperparameters=json.dumps(trained))
    mini.detection(svm, mini.image(derma, "5"), 0.5, 1)
    for success in (1, 0):
        image = mini.image(derma, "4")
        attempt = mini.attempt(search, phantom, image, success, through_model_id=None)
        mini.detection(svm, image, -0.5, 0)
        mini.detection(svm, image, 0.5, 1, attempt)
        mini.attempt(search, phantom, image, success, through_model_id=denoiser)
        mini.attempt(search, phantom, image, success, through_model_id=svm)
    parameters = '{"voter":"small-cnn","stride":2}'
    vote = mini.model("classifier", "polyphase-vote", derma, parameters=parameters)
    promise = {"method": "polyphase-vote", "predicted": "4", "votes": "[4]", "radius": 2}
    mini.add(t.Certificate, model_id=vote, image_id=image, run_id=1, **promise)
    survey = PixelMap(0, f"{PIXEL_MAP} 300000", (4,), open=((0, 1),), harmless=3)
    kept = {
        survey.method: survey.content(),
        f"{PIXEL_SURVEY} 300000": [783, 0, 0, 1],
        f"{PIXEL_SAMPLE} 300000 of 2": PixelSample(0, "", (4,), (), 2, 0, 0).content(),
        f"{PIXEL_UNIVERSAL} 1 of 1": {"pixels": [[1, 2, [0, 0, 0]]], "fooled": [0]},
    }
    for method, votes in kept.items():
        found = {"method": method, "predicted": "4", "votes": json.dumps(votes), "radius": 0}
        mini.add(t.Certificate, model_id=phantom, image_id=image, run_id=1, **found)
    return mini


def build(db: Miniature, name: str) -> ReportTable:
    return build_table(db.engine, table_spec(name), dataset="derma")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_holds_the_table_and_says_phantom(
    mini_phantom: Miniature, name: str, output_format: str
) -> None:
    table = build(mini_phantom, name)
    text = render([table], output_format)
    assert text.endswith("\n") and WORDS.get(name, "exhaustive") in text
    if output_format == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["table"] for row in rows] == [name] * len(table.rows)
        assert {row["in paper"] for row in rows} == {"no"}
        return
    assert "phantom data" in re.sub(r"\s+", " ", text)
    if output_format == "json":
        (value,) = json.loads(text)["tables"]
        assert value["name"] == name
        assert len(value["rows"]) == len(table.rows)
    if output_format == "latex":
        assert rf"\label{{tab:pixguard-{name}}}" in text


@SQLITE_ONLY
@pytest.mark.parametrize("name", NAMES)
def test_the_queries_run_in_another_client(mini_phantom: Miniature, name: str) -> None:
    script = render_sql([build(mini_phantom, name)])
    assert script.startswith("-- ") and not re.search(r"(?<![\w:]):[a-z]", script)
    raw = mini_phantom.engine.raw_connection().driver_connection
    assert isinstance(raw, sqlite3.Connection)
    answers, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            answers.append(raw.execute(statement).fetchall())
            statement = ""
    assert answers and all(answers)


@pytest.mark.parametrize("name", NAMES)
def test_the_paper_has_no_such_table(mini: Miniature, name: str) -> None:
    table = build_table(mini.engine, table_spec(name), paper=True)
    assert "The paper has no such table." in table.notes
    assert not table.published


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("name", NAMES)
def test_a_wide_table_is_shown_in_parts_that_fit(
    mini_phantom: Miniature, name: str, width: int
) -> None:
    table = build(mini_phantom, name)
    text = render([table], "table", width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    words = re.split(r"\s+", text)
    assert {word for column in table.columns for word in column.name.split()} <= set(words)


def test_parts_repeat_what_tells_the_rows_apart() -> None:
    columns = (Column("dataset"), *(Column(f"figure-number-{n}", "count") for n in range(6)))

    def table(*names: str) -> str:
        rows = tuple(
            Row((Cell(name), *(Cell(10 * n + k) for k in range(6)))) for n, name in enumerate(names)
        )
        return render([ReportTable("x", "Wide", columns, rows)], "table", width=60)

    apart = table("oct", "chest")
    assert apart.count("oct") == apart.count("chest") == 2
    assert [line.split()[1:] for line in apart.splitlines() if line.startswith("chest")] == [
        ["10", "11", "12"],
        ["13", "14", "15"],
    ]
    alike = table("oct", "oct")
    assert [line.split() for line in alike.splitlines() if "oct" in line] == [
        ["1", "oct", "0", "1", "2"],
        ["2", "oct", "10", "11", "12"],
        ["1", "oct", "3", "4", "5"],
        ["2", "oct", "13", "14", "15"],
    ]


def test_a_quantity_has_three_digits_or_more_and_no_exponent() -> None:
    from pixguard.reports.formats.text import format_number

    shown = [format_number(v, "quantity") for v in (0.001234, 1.5, 20.0, 999.7, 12_345.6)]
    assert shown == ["0.00123", "1.5", "20", "1000", "12346"]


def test_names_and_numbers_are_asked_for_together(tmp_path: Path) -> None:
    database = str(tmp_path / "p.db")
    open_engine(database, create=True).dispose()
    asked = ["report", "--db", database, "--json", "--table"]
    done = CliRunner().invoke(app, [*asked, "truth,32, cost,truth", "--table", "adaptive"])
    assert done.exit_code == 0, done.output
    assert [t["name"] for t in json.loads(done.stdout)["tables"]] == [
        "truth",
        32,
        "cost",
        "adaptive",
    ]
    listed = CliRunner().invoke(app, ["report", "--db", database, "--list", "--json"])
    found = [row["number"] for row in json.loads(listed.stdout)["tables"][0]["rows"]]
    assert found[-len(NAMES) :] == NAMES
    refused = CliRunner().invoke(app, [*asked, "certainty"])
    assert refused.exit_code == 2


def test_auc_of_two_classes_is_scikit_learns(empty: Miniature) -> None:
    dataset = empty.dataset("two", [(0, "benign", None), (1, "malignant", None)])
    model = empty.model("classifier", "resnet50", dataset)
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 2, 40)
    # Of few values, so that images of both classes tie.
    second = generator.integers(1, 8, 40) / 8
    for label, probability in zip(truth.tolist(), second.tolist(), strict=True):
        image = empty.image(dataset, str(label))
        predicted = probability > 0.5
        confidence = probability if predicted else 1 - probability
        empty.prediction(model, image, str(int(predicted)), confidence)
    ((*_, auc),) = [row.cells for row in build_table(empty.engine, table_spec("accuracy")).rows]
    assert auc.value == pytest.approx(roc_auc_score(truth, second)) and auc.denominator == 40


def test_auc_is_not_told_of_more_classes(mini: Miniature) -> None:
    cells = [
        row.cells[-1]
        for row in build_table(mini.engine, table_spec("accuracy"), dataset="oct").rows
    ]
    assert cells and all(cell.value is None and cell.note == "not binary" for cell in cells)
