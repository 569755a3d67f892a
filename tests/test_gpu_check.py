"""``scripts/gpu_check`` in its small form, on a CPU: what it finds, never how long it takes."""

import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))


def script() -> Any:
    loader = importlib.machinery.SourceFileLoader("gpu_check", str(ROOT / "scripts/gpu_check"))
    spec = importlib.util.spec_from_loader("gpu_check", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_check"] = module
    loader.exec_module(module)
    return module


def test_the_small_form_finds_nothing_wrong(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    assert script().main(["--device", "cpu", "--small", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["faults"] == []
    tried = {(row["evaluator"], row["precision"]) for row in found["correctness"]}
    expected = {(e, p) for e in ("dense", "delta") for p in ("float32", "bfloat16")}
    assert tried == expected | {("judge", "float32")}
    assert all(row["delta_rate"] > 0 for row in found["speed"])
    (choice,) = found["choice"]
    assert choice["taken"] and choice["ratio"] > 0
    assert found["kernels"]["rows"] and "Nothing is wrong" in out.with_suffix(".md").read_text()


def test_an_evaluator_that_is_off_and_a_part_that_breaks_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check, dense = script(), importlib.import_module("pixguard.inference.dense").DenseEvaluator
    whole = dense._run
    monkeypatch.setattr(dense, "_run", lambda self, *given: whole(self, *given) * 1.001)
    monkeypatch.setattr(check.profile, "kernels", lambda *_: torch.zeros(1).item() / 0)
    monkeypatch.setattr(check, "speed", lambda *_: "")
    monkeypatch.setattr(check, "choice", lambda *_: "")
    monkeypatch.setattr(check, "peers", lambda *_: "")
    assert check.main(["--device", "cpu", "--small"]) == 1
    said = capsys.readouterr().out
    assert "WRONG: small-cnn at 28, dense float32" in said
    assert "WRONG: Kernels of a delta step: ZeroDivisionError" in said
    assert "delta float32" not in said.split("WRONG", 1)[0]


def test_what_no_longer_fits_the_time_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert script().main(["--device", "cpu", "--small", "--minutes", "0"]) == 0
    assert capsys.readouterr().out.count("left out") == 5
