import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pixguard.errors import UsageError
from pixguard.registry import Registry
from pixguard.reports import specs
from pixguard.reports.published import published_rows, published_table, published_tables, row_key
from pixguard.reports.specs import families, table_spec, table_specs
from pixguard.reports.tables.registry import FAMILIES
from pixguard.store.queries import load

QUERIES = Path(__file__).parents[2] / "pixguard" / "store" / "queries"


def test_every_table_is_registered() -> None:
    own = {
        "accuracy": "classification",
        "by-class": "attack_by_class",
        "denoising": "denoising",
        "success": "attack_overview",
    }
    ours = [*own, "recovery", "paired", "truth", "least-flips", "attacks", "dense", "seeds"]
    ours += ["adaptive", "defences"]
    ours += ["classes", "labels", "label-sets", "severity", "pixels", "cost"]
    ours += ["certified", "detection"]
    own["label-sets"] = "label_sets"
    own["least-flips"] = "least_flips"
    assert list(table_specs()) == [*range(1, 52), *ours]
    owners = {number: spec.family for number, spec in table_specs().items()}
    assert {name: owners.pop(name) for name in own} == own
    by_family = {f: [n for n, owner in owners.items() if owner == f] for f in families()}
    assert {f: numbers for f, numbers in by_family.items() if numbers != [f]} == {
        "layers": [1, 2],
        "datasets": [6],
        "class_counts": [7, 8, 9, 10],
        "hardware": [11],
        "attack_times": [46, 47],
        "classification": [12, 34],
        "capability": [13, 14, 15, 16],
        "attack_by_class": [17, 19, 21, 22, 24, 26, 28, 30, 35, 37, 39, 41],
        "denoising": [18, 20, 23, 25, 27, 29, 31, 36, 38, 40, 42],
        "attack_overview": [32, 33],
        "comparison": [43],
        "ablation": [3, 4, 5],
        "training_times": [44, 45, 48, 49, 50, 51],
        "label_sets": [],
        "least_flips": [],
    }


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (8, ("pathology", None, None)),
        (12, (None, None, "resnet50")),
        (24, ("oct", 1, "resnet50")),
        (33, (None, 2, "resnet50")),
        (41, ("chest", 2, "densenet121")),
        (43, (None, 2, None)),
        (45, (None, None, "densenet121")),
        (46, (None, 1, "resnet50")),
    ],
)
def test_specs_name_dataset_pixels_and_classifier(number: int, expected: tuple) -> None:
    spec = table_spec(number)
    assert (spec.dataset, spec.pixels, spec.classifier) == expected


@pytest.mark.parametrize(
    ("number", "reason"),
    [(0, "not in the paper"), (99, "not in the paper"), ("trut", "no table 'trut'")],
)
def test_a_table_that_is_not_there_is_refused_with_a_hint(number: int | str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        table_spec(number)
    assert "pixguard report --list" in caught.value.hint
    assert number != "trut" or "did you mean truth" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_number_is_declared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = Registry("family", [entry for entry in FAMILIES if entry.name == "layers"])
    twice.add(replace(twice["layers"], name="again"))
    monkeypatch.setattr(specs, "FAMILIES", twice)
    with pytest.raises(ValueError, match="two families declare the same table"):
        families.__wrapped__()


def test_published_tables_are_complete_and_readable_by_row() -> None:
    assert [t["number"] for t in published_tables()] == list(range(1, 52))
    assert published_rows(32)["oct"]["success count"] == 6213
    assert published_rows(25)["dae"]["PSNR"] == 37.62
    assert published_table(33)["note"].startswith("387 of 500")
    assert row_key("MedianDenoise [14]") == "median-cnn"
    assert row_key("Noise2Noise [5]") == "noise2noise"


def test_success_rates_as_published_follow_from_the_published_counts() -> None:
    # Guards the transcription: a slip in any of the 66 class rows would show here.
    for spec in table_specs().values():
        if spec.family == "attack_by_class":
            for row in published_rows(spec.number).values():
                rate = 100 * row["success count"] / row["test count"]
                assert rate == pytest.approx(row["success rate %"], abs=0.011), (spec, row)


@pytest.mark.parametrize("path", sorted(QUERIES.glob("*.sql")), ids=lambda p: p.stem)
def test_queries_are_commented_portable_and_bind_only_code(path: Path) -> None:
    text = load(path.stem)
    assert text.startswith("-- ")
    comments = [line for line in text.splitlines() if line.lstrip().startswith("--")]
    # A driver would take ":word" in a comment for a parameter.
    assert not [line for line in comments if ":" in line.replace(": ", "") and "::" not in line]
    lowered = text.lower()
    for foreign in ("instr(", "json_", "ifnull(", "group_concat", "iif(", "total(", "glob "):
        assert foreign not in lowered


def test_reports_import_nothing_heavy() -> None:
    code = (
        "import sys, json, pixguard.reports.build, pixguard.reports.render, pixguard.store.queries;"
        "print(json.dumps([m for m in ('torch','sqlalchemy','matplotlib','numpy','scipy')"
        " if m in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == []
