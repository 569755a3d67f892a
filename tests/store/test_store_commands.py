"""``pixguard db`` and ``pixguard models``, as typed."""

import json
from dataclasses import replace
from pathlib import Path

import typer
from typer.testing import CliRunner

from pixguard.cli import db, models
from pixguard.cli.common import PixguardGroup
from pixguard.store import maintenance, schema
from pixguard.store.location import files_folder
from postgresql import SQLITE_ONLY
from store.store_samples import Filled, model, open_writer
from store.test_store_maintenance import _damage

pytestmark = SQLITE_ONLY

root = typer.Typer(cls=PixguardGroup)
root.add_typer(db.app, name="db")
root.add_typer(models.app, name="models")


def run(filled: Filled, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(root, [*arguments, "--db", str(filled.path)])
    assert result.exit_code == code, result.output
    return result.stdout


def as_json(filled: Filled, *arguments: str, code: int = 0) -> dict:
    return json.loads(run(filled, *arguments, "--json", code=code))


def test_info(filled: Filled) -> None:
    found = as_json(filled, "db", "info")
    assert found["rows"]["attempt"] == 4
    assert found["schema_state"] == "current"
    assert found["runs"][0]["status"] == "finished"
    assert as_json(filled, "db", "info", "--runs", "0")["runs"] == []
    text = run(filled, "db", "info")
    assert "pixguard test" in text
    assert "attempt: 4" in text


def test_check_exits_1_on_a_fault(filled: Filled) -> None:
    assert run(filled, "db", "check").endswith("is sound\n")
    _damage(filled.path, "DELETE FROM pixel WHERE attempt_id = 2")
    found = as_json(filled, "db", "check", code=1)
    assert found["problems"] == ["attempt 2 is a success with 2 pixels and changes 0 distinct ones"]
    assert found["problems"][0] in run(filled, "db", "check", code=1)


def test_check_lists_leftovers_and_removes_them_where_that_is_asked_for(filled: Filled) -> None:
    weights = files_folder(str(filled.path)) / "weights"
    weights.mkdir(parents=True)
    for number in "cd":
        (weights / f"{number * 16}.pt2").write_bytes(bytes(10**6))
    (weights / f"{'c' * 64}.safetensors").touch()
    (weights / f"{'d' * 64}.safetensors").touch()
    text = run(filled, "db", "check")
    assert "is sound\nweights that no model has: 2, 2.0 MB\n" in text
    assert f"{'c' * 16}.pt2" in text
    assert f"pixguard db check --clean --db {filled.path}" in text
    found = as_json(filled, "db", "check")
    assert ([left["size_bytes"] for left in found["leftovers"]], found["removed"]) == (
        [10**6, 10**6],
        0,
    )
    assert len(list(weights.iterdir())) == 4
    with open_writer(filled.path):
        assert as_json(filled, "db", "check")["leftovers"] is None
        assert as_json(filled, "db", "check", "--clean", code=5)["error"]["kind"] == "busy"
    assert run(filled, "db", "check", "--clean").endswith("removed: 2\n")
    assert len(list(weights.iterdir())) == 2
    assert as_json(filled, "db", "check", "--clean")["leftovers"] == []


def test_backup_upgrade_vacuum(filled: Filled, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert as_json(filled, "db", "backup", "--to", str(copy))["backup"] == str(copy)
    assert maintenance.check(str(copy)) == []
    assert as_json(filled, "db", "backup", "--to", str(copy), code=1)["error"]["hint"]
    done = as_json(filled, "db", "upgrade")
    newest = schema.known_revisions()[0]
    assert (done["before"], done["after"], done["backup"]) == (newest, newest, None)
    sizes = as_json(filled, "db", "vacuum")
    assert sizes["after_bytes"] <= sizes["before_bytes"]


def test_schema_and_busy_have_their_exit_codes(filled: Filled) -> None:
    with open_writer(filled.path):
        assert as_json(filled, "db", "vacuum", code=5)["error"]["kind"] == "busy"
    _damage(filled.path, "UPDATE alembic_version SET version_num = '0042'")
    assert as_json(filled, "models", "list", code=4)["error"]["kind"] == "schema"


def test_models_are_listed_and_shown(filled: Filled) -> None:
    found = as_json(filled, "models", "list", "--kind", "denoiser")
    assert [(one["id"], one["architecture"], one["dataset_name"]) for one in found] == [
        (filled.denoiser_id, "dae", "oct")
    ]
    text = run(filled, "models", "list")
    assert "resnet50" in text
    assert "dae" in text
    assert "no models" in run(filled, "models", "list", "--dataset", "chest")
    shown = as_json(filled, "models", "show", "resnet50")
    assert shown["weights_sha256"] == "c" * 64
    assert [one["name"] for one in shown["dataset"]["classes"]] == ["CNV", "NORMAL"]
    assert "vgg" in as_json(filled, "models", "show", "vgg", code=2)["error"]["message"]


def test_export_copies_weights_and_what_rebuilds_the_model(filled: Filled, tmp_path: Path) -> None:
    target = tmp_path / "out" / "mine.safetensors"
    wanted = ["models", "export", str(filled.model_id), "--to", str(target)]
    missing = as_json(filled, *wanted, code=1)["error"]
    assert "weights of model" in missing["message"]
    weights = files_folder(str(filled.path)) / "weights" / f"{'c' * 64}.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    assert as_json(filled, *wanted)["weights"] == str(target)
    assert target.read_bytes() == b"weights"
    card = json.loads(target.with_name(f"{target.name}.json").read_text())
    assert (card["architecture"], card["parameters"]) == ("resnet50", {"classes": 2})
    assert "exists already" in as_json(filled, *wanted, code=2)["error"]["message"]


def test_a_model_without_weights_is_not_exported(filled: Filled, tmp_path: Path) -> None:
    with open_writer(filled.path) as writer:
        record = replace(model("f" * 64, "median", "denoiser"), weights_file="")
        writer.model(record, filled.dataset_id)
    out = str(tmp_path / "a.safetensors")
    found = as_json(filled, "models", "export", "median", "--to", out, code=2)
    assert "has no weights" in found["error"]["message"]
