"""Convolutions that gather their patches themselves, under Triton's interpreter: no GPU is needed.

How fast they are is not measured here, nor that a compiler takes them: tests/gpu does the latter.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.inference_networks import classifier
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.inference.form import Form
from pixguard.inference.measured import left_out
from pixguard.inference.truth import Forms, Truth


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no triton")
def test_they_answer_as_delta_does_in_float64() -> None:
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("interpreted.py"))],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    cases = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [case["precision"] for case in cases].count("torch.float32") == 4 and len(cases) == 6
    for case in cases:
        assert case["gathering"] in (1, 3) and case["change"] > 0.03
        exact = case["precision"] == "torch.float32"
        assert case["off"] < (1e-6 if exact else 2 * case["plain"] + 1e-3), case


def test_without_triton_they_are_left_out_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "pixguard.inference.gathering", raising=False)
    torch.manual_seed(1)
    made: Any = classifier(SmallCNN(3, 4))
    forms = Forms(Truth(made, 12, 12, 1), 1 << 33, 200, 400)
    form = Form("delta", "float32", 3, gathers=True)
    with pytest.raises(ImportError) as caught:
        forms.checked(form)
    words = left_out(form, caught.value)
    assert "(convolutions that gather)" in words and "triton" in words and "\n" not in words
