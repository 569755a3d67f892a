"""``scripts/bench_denoisers.py``: that it measures what it says, never how long it takes."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
bench = importlib.import_module("bench_denoisers")


def test_it_writes_the_ratio_of_every_denoiser_and_keeps_all_rounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    threads = torch.get_num_threads()
    try:
        tiny = "--size 8 --images 18 --rounds 2 --threads 1 --models autoencoder dae"
        assert bench.main([*tiny.split(), "--out", str(path)]) == 0
    finally:
        torch.set_num_threads(threads)
    result = json.loads(path.read_text())
    assert [row["model"] for row in result["rows"]] == ["autoencoder", "dae"]
    for row in result["rows"]:
        rounds = row["seconds"]
        ratios = [p / o for o, p in zip(rounds["ours"], rounds["plain"], strict=True)]
        assert (row["lowest"], row["highest"]) == (min(ratios), max(ratios)) and len(ratios) == 2
    small, large = (row["ours"] for row in result["rows"])
    assert f"{small / large:.2f} times as long" in capsys.readouterr().out


def test_the_plain_loop_makes_the_noise_of_each_recipe() -> None:
    torch.manual_seed(0)
    images = torch.full((1, 64, 64, 3), 255, dtype=torch.uint8).numpy()

    def pair(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        noisy, target = bench.NoisyImages(images, bench.DenoiserSettings(name))[0]
        return noisy, target

    noisy, target = pair("dae")
    changed = (noisy != 1).any(dim=0)
    assert changed.double().mean().item() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(changed, (noisy != 1).all(dim=0)) and (target == 1).all()
    noisy, target = pair("noise2noise")
    assert (target != 1).any() and not torch.equal(noisy, target)
