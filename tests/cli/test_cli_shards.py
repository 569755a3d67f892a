"""Parts of a plan on several machines, and the whole after `db merge`."""

import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixguard.cli.app import app
from pixguard.errors import UsageError
from pixguard.shards import Shard

ROOT = Path(__file__).resolve().parents[2]
ATTACK = ("attack", "--dataset", "oct", "--model", "1", "--attack", "random", "--queries", "40")


def pixguard(*words: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    made: dict[str, object] = json.loads(result.stdout)
    return made


def rows(database: str) -> list[list[tuple[object, ...]]]:
    queries = (
        "SELECT attempt_key, success, queries, predicted_after FROM attempt ORDER BY 1",
        'SELECT attempt_key, p."row", col, after FROM pixel p '
        "JOIN attempt a ON a.id = attempt_id ORDER BY 1",
        "SELECT place, attempt_key FROM planned_attempt ORDER BY 1",
        "SELECT planned, finished_ms IS NULL, settings FROM plan",
        "SELECT radius, predicted, votes, dataset_index FROM certificate c "
        "JOIN image i ON i.id = c.image_id ORDER BY dataset_index",
        "SELECT restoration_key, predicted, recovered FROM restoration ORDER BY 1",
        "SELECT restoration_key, name, ROUND(value, 4) FROM score s "
        "JOIN metric m ON m.id = metric_id "
        "JOIN restoration r ON r.id = restoration_id ORDER BY 1, 2",
        "SELECT detection_key, flagged FROM detection ORDER BY 1",
    )
    with sqlite3.connect(database) as connection:
        return [connection.execute(query).fetchall() for query in queries]


def follow(*where: str) -> None:
    """Do what follows an attack."""
    pixguard("denoise", "apply", "--dataset", "oct", "--model", "1", *where)
    pixguard("score", "--dataset", "oct", "--model", "1", *where[-2:])
    pixguard("detect", "apply", "--dataset", "oct", "--model", "1", *where)


@pytest.mark.usefixtures("in_an_empty_folder")
def test_shards_and_a_merge_make_the_rows_of_one_run() -> None:
    phantoms = ("--dataset", "oct", "--source", "phantom", "--images", "120", "--epochs", "2")
    pixguard("train", *phantoms, "--model", "small-cnn", "--db", "base.db")
    pixguard("certify", "train", *phantoms, "--db", "base.db")
    few = ("--limit", "20", "--epochs", "1", "--db", "base.db")
    pixguard("denoise", "train", "--dataset", "oct", "--model", "autoencoder", *few)
    pixguard("detect", "train", "--dataset", "oct", *few)
    for name in ("one", "two", "whole"):
        shutil.copy("base.db", f"{name}.db")
        shutil.copytree("base-files", f"{name}-files")
    made = 0
    for part, name in ((1, "one"), (2, "two")):
        shard = ("--shard", f"{part}/2", "--db", f"{name}.db")
        made += int(str(pixguard(*ATTACK, *shard)["made"]))
        again = pixguard(*ATTACK, *shard, "--resume")
        assert again["made"] == 0, "its part is done"
        pixguard("certify", "apply", "--dataset", "oct", *shard)
        follow(*shard)
    whole = pixguard(*ATTACK, "--db", "whole.db")
    pixguard("certify", "apply", "--dataset", "oct", "--db", "whole.db")
    follow("--db", "whole.db")
    assert all(rows("whole.db"))
    assert made == whole["made"] == whole["planned"]
    assert rows("one.db") != rows("whole.db")
    pixguard("db", "merge", "two.db", "one.db", "--db", "base.db")
    assert rows("base.db") == rows("whole.db")
    assert pixguard(*ATTACK, "--db", "base.db", "--resume")["made"] == 0


def test_parts_are_apart_and_together_everything() -> None:
    keys = [f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(500)]
    for parts in (1, 2, 7, 16):
        held = [[key for key in keys if Shard(n + 1, parts).holds(key)] for n in range(parts)]
        assert sorted(itertools.chain.from_iterable(held)) == sorted(keys)
        assert all(held)
    for wrong in ("0/2", "3/2", "1", "1/", "-1/2", "1/2/3", "a/b"):
        with pytest.raises(UsageError, match="no part"):
            Shard.parse(wrong)


def test_a_wrong_part_is_refused_at_once(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*ATTACK, "--shard", "3/2", "--db", str(tmp_path / "x.db")])
    assert result.exit_code == 2 and "--shard" in result.output


@pytest.fixture
def trained(in_an_empty_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train a classifier in the working folder, where `pixguard` is a command."""
    phantoms = ("--dataset", "oct", "--source", "phantom", "--images", "120", "--epochs", "2")
    pixguard("train", *phantoms, "--model", "small-cnn")
    script("pixguard", f'exec "{sys.executable}" -m pixguard "$@"')
    monkeypatch.setenv("PATH", str(Path.cwd()), prepend=os.pathsep)


def script(name: str, text: str) -> str:
    path = Path(name).resolve()
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


def is_whole() -> bool:
    made = pixguard(*ATTACK, "--resume")
    return made["made"] == 0 and made["found"] == made["planned"]


@pytest.mark.usefixtures("trained")
def test_the_script_for_slurm_makes_the_whole() -> None:
    for part in (1, 2):
        environment = {"SLURM_ARRAY_TASK_ID": str(part), "SLURM_ARRAY_TASK_COUNT": "2"}
        words = [str(ROOT / "scripts" / "slurm_array"), ".", *ATTACK[1:]]
        subprocess.run(words, check=True, env=os.environ | environment, capture_output=True)
    pixguard("db", "merge", "shard-1.db", "shard-2.db")
    assert is_whole()


@pytest.mark.usefixtures("trained")
def test_the_script_for_two_workstations_makes_the_whole() -> None:
    Path("home").mkdir()
    fake = {
        "PIXGUARD_SSH": script("fake-ssh", 'shift; cd home && exec bash -c "$*"'),
        "PIXGUARD_RSYNC": script("fake-rsync", 'shift; exec cp -r "${@/#there:/home/}"'),
    }
    words = [str(ROOT / "scripts" / "two_workstations"), "there", *ATTACK[1:]]
    done = subprocess.run(words, env=os.environ | fake, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert is_whole()
