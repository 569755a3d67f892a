"""``scripts/bench_attack.py``: what it counts, never how long it takes."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixguard.classifiers.classifier import Classifier
from pixguard.models.weights import save_weights

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
bench_attack = importlib.import_module("bench_attack")
choosing = importlib.import_module("benchmarks.choosing")
comparison = importlib.import_module("benchmarks.comparison")
contenders = importlib.import_module("benchmarks.contenders")
evaluators = importlib.import_module("benchmarks.evaluators")
subjects = importlib.import_module("benchmarks.subjects")
timing = importlib.import_module("benchmarks.timing")

SIDE = 12
CPU = torch.device("cpu")
TINY = ("--model", "small-cnn", "--size", "28", "--threads", "1")
BUDGET = ("--population", "10", "--generations", "3")


class BetweenBytes(nn.Module):
    """Class 1 when some value lies far from any that 8 bits can hold, or when three are white."""

    def forward(self, images: Tensor) -> Tensor:
        levels = (images + 1) / 2 * 255  # the classifier normalises to [-1, 1]
        apart = (levels - levels.round()).abs().amax((1, 2, 3)) > 0.2
        white = (levels > 254).flatten(1).sum(1) >= 3
        fooled = (apart | white).float()
        return torch.stack([1 - fooled, fooled], 1)


class Averages(nn.Module):
    """A small network that ends in a linear layer."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.body = nn.Conv2d(1, 4, 3)
            self.head = nn.Linear(4, labels)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images).relu().mean((2, 3)))
        return logits


def subject(network: nn.Module, count: int, labels: int = 2) -> Any:
    images = np.random.default_rng(0).integers(0, 200, (count, SIDE, SIDE, 1), dtype=np.uint8)
    classifier = Classifier(network, "multi-class", labels, (0.5,), (0.5,)).eval()
    decided = subjects.decisions(classifier, images, CPU)
    return subjects.Subject(classifier, images, decided, CPU, False, "a test")


def answering(images: Any, *, claims: Any = None, seconds: float = 1.0, queries: int = 10) -> Any:
    return lambda subject, budget: contenders.Answer(images, claims, queries, queries, seconds)


def run(capsys: pytest.CaptureFixture[str], out: Path, *arguments: str) -> dict[str, Any]:
    assert bench_attack.main([*arguments, "--out", str(out)]) == 0
    table = out.with_suffix(".md").read_text(encoding="utf-8")
    assert table.strip() == capsys.readouterr().out.strip()
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert result["environment"]["torch_version"] == str(torch.__version__)
    return result


def test_a_success_that_lives_between_two_bytes_vanishes() -> None:
    under_attack = subject(BetweenBytes(), 3)
    images = under_attack.images / 255.0
    images[0, 3, 4, 0] = 100.4 / 255.0
    peer = answering(images, claims=np.array([True, False, False]))
    silent = answering(images)  # it leaves it to the reader what has succeeded
    rows = comparison.compare(under_attack, contenders.Budget(), {"loud": peer, "silent": silent})
    for row in rows:
        assert (row["claimed"], row["survived"], row["vanished"], row["exact"]) == (1, 0, 1, 0)


def test_a_success_of_more_pixels_than_ordered_is_told_apart() -> None:
    under_attack = subject(BetweenBytes(), 2)
    images = under_attack.images / 255.0
    images[0, 5, 1:4] = images[1, 5, 1:4] = 1.0
    images[1, 5, 5] = 1.0
    (row,) = comparison.compare(
        under_attack, contenders.Budget(pixels=3), {"peer": answering(images)}
    )
    assert (row["claimed"], row["survived"], row["vanished"], row["exact"]) == (2, 2, 0, 1)


def test_ratios_are_of_the_time_that_the_same_number_of_queries_takes() -> None:
    under_attack = subject(BetweenBytes(), 1)
    images = under_attack.images / 255.0
    rows = comparison.compare(
        under_attack,
        contenders.Budget(1, 10, 9),
        {
            "torchattacks": answering(images, seconds=6.0, queries=50),
            "delta": answering(images, seconds=3.0, queries=100),
        },
        rounds=2,
    )
    assert [row["seconds_per_budget"] for row in rows] == [12.0, 3.0]
    assert [row["times_torchattacks"] for row in rows] == [1.0, 4.0]
    assert rows[1]["oct_hours"] == pytest.approx(3.0 * 21_024 / 3600)
    assert rows[1]["rounds"] == [3.0, 3.0]


def test_who_is_missing_or_refuses_has_a_row_that_says_so() -> None:
    def raising(error: Exception) -> Callable[..., Any]:
        def contender(*_: Any) -> Any:
            raise error

        return contender

    under_attack = subject(BetweenBytes(), 1)
    rows = comparison.compare(
        under_attack,
        contenders.Budget(),
        {
            "art": raising(ModuleNotFoundError("No module named 'art'")),
            "torchattacks": raising(ValueError("no thanks")),
            "plain": answering(under_attack.images / 255.0),
        },
    )
    assert "pip install -e '.[bench]' -c constraints.txt" in rows[0]["note"]
    assert rows[1]["note"] == "ValueError: no thanks"
    assert rows[2]["claimed"] == 0


def test_fewer_generations_are_for_those_whose_queries_all_cost_the_same() -> None:
    under_attack, seen = subject(BetweenBytes(), 1), {}

    def noting(name: str) -> Callable[..., Any]:
        def contender(_: Any, budget: Any) -> Any:
            seen[name] = budget.generations
            return contenders.Answer(under_attack.images / 255.0, None, 1, 1, 1.0)

        return contender

    names = ("torchattacks", "art", "plain", "dense", "delta")
    comparison.compare(under_attack, contenders.Budget(), {n: noting(n) for n in names}, 7)
    assert seen == {"torchattacks": 7, "art": 7, "plain": 7, "dense": 100, "delta": 100}


def test_a_lead_keeps_the_decision_and_the_order_of_candidates() -> None:
    classifier = subject(Averages(3), 1, labels=3).classifier
    images = torch.rand(40, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = classifier.probabilities(classifier(images))[:, 1]
        subjects.favour(classifier, 1, 10.0)
        after = classifier.probabilities(classifier(images))
    assert (after.argmax(1) == 1).all()
    # The lead is added in float32: what it rounds together may come in either order.
    ordered = after[:, 1][before.argsort()]
    assert (ordered.diff() > -1e-9).all()
    assert ordered[-1] > ordered[0]


def test_counting_sees_every_image_and_nothing_afterwards() -> None:
    classifier = subject(Averages(2), 1).classifier
    with timing.counted(classifier) as count:
        classifier(torch.zeros(3, 1, SIDE, SIDE))
        classifier(torch.zeros(2, 1, SIDE, SIDE))
    classifier(torch.zeros(7, 1, SIDE, SIDE))
    assert count == [5]


def test_the_plain_loop_makes_the_searches_of_the_engine_without_memory() -> None:
    under_attack = subject(Averages(2), 3)
    subjects.favour(under_attack.classifier, int(under_attack.labels[0]), 10.0)
    under_attack = subject(under_attack.classifier.network, 3)
    budget = contenders.Budget(1, 20, 30)
    plain = contenders.plain_loop(under_attack, budget, 7)
    engine = contenders.pixguard(under_attack, budget, evaluator="dense", precision="float32")
    assert plain.queries == plain.evaluated == engine.queries == 3 * budget.queries
    assert engine.evaluated < engine.queries
    assert (plain.images == engine.images).all()


@pytest.mark.parametrize(("labels", "pixels"), [(3, 1), (2, 2)])
def test_peers_are_counted_and_judged(labels: int, pixels: int) -> None:
    pytest.importorskip("torchattacks")
    pytest.importorskip("art")
    under_attack = subject(Averages(labels), 2, labels)
    subjects.favour(under_attack.classifier, int(under_attack.labels[0]), 10.0)
    under_attack = subject(under_attack.classifier.network, 2, labels)
    budget = contenders.Budget(pixels, 100, 8)
    everybody = contenders.contenders(100)
    rows = comparison.compare(
        under_attack, budget, {name: everybody[name] for name in ("torchattacks", "art")}
    )
    for row in rows:
        # Their populations are multiples of the genes: near the budget, never exactly on it.
        assert 0.85 * budget.queries < row["queries_per_image"] < 1.15 * budget.queries, row
        assert row["claimed"] == row["vanished"] == 0
    assert ("refuses labels of two classes" in rows[1]["note"]) == (labels == 2)


def test_the_comparison_is_written_down(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "peers.json"
    only = ("--only", "plain", "dense", "delta", "--unsuccessful", "--images", "2")
    result = run(capsys, out, "peers", *TINY, *BUDGET, *only)
    assert [row["name"] for row in result["rows"]] == ["plain", "dense", "delta"]
    for row in result["rows"]:
        assert row["queries"] == 2 * 10 * 4
        assert row["claimed"] == row["survived"] == row["vanished"] == 0
        assert {"queries_per_second", "seconds_per_image", "times_plain"} <= set(row)
    assert any("untrained" in note for note in result["notes"])
    assert result["settings"]["population"] == 10


def test_trained_weights_are_attacked_where_they_are_right(tmp_path: Path, capsys: Any) -> None:
    source = subjects.Source("small-cnn")
    untrained = subjects.open_subject(source, 2, CPU)
    subjects.favour(untrained.classifier, 0, 50.0)  # which makes it right about class 0
    name, _ = save_weights(untrained.classifier, tmp_path)
    weights = ("--weights", str(tmp_path / name), "--only", "dense", "--images", "2")
    result = run(capsys, tmp_path / "t.json", "peers", *TINY, *BUDGET, *weights)
    assert not any("untrained" in note for note in result["notes"])
    assert result["settings"]["weights"] == name  # and not the folder that it lies in


def test_evaluators_are_compared_by_size(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluators, "ROUND_SECONDS", 1e-9)
    sizes = ("--sizes", "32,28", "--batches", "2,5", "--rounds", "3", "--peak-tflops", "1")
    arguments = ("--model", "small-cnn", "--threads", "1", "--precision", "float32", *sizes)
    result = run(capsys, tmp_path / "sizes.json", "evaluators", *arguments)
    assert [row["size"] for row in result["rows"]] == [28, 32]
    for row in result["rows"]:
        assert row["dense_batch"] in (2, 5) and set(row["tried"]["dense"]) == {"2", "5"}
        assert len(row["rounds"]["dense"]) == len(row["rounds"]["delta"]) == 3
        assert row["difference"] < 1e-4 * max(1.0, row["largest_logit"])
        assert row["dense_peak_share"] > 0
        assert (row["delta_evaluator"] == "delta") or "NOT delta" in row["note"]
    by_hand = 28**2 * 9 * 32 + 14**2 * 9 * 32 * 64 + 7**2 * 9 * (64 * 64 * 2) + 64 * 4
    assert result["rows"][0]["multiply_adds"] == by_hand
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")


def test_scaling_tells_where_the_time_goes(tmp_path: Path, capsys: Any) -> None:
    counts = ("--counts", "1,3", "--database-images", "2")
    result = run(capsys, tmp_path / "scaling.json", "scaling", *TINY, *BUDGET, *counts)
    assert [row["images"] for row in result["rows"]] == [1, 3]
    for row in result["rows"]:
        parts = ("evaluator", "search", "memory", "verification")
        assert all(row[part] > 0 for part in parts)
        assert sum(row[part] for part in (*parts, "elsewhere")) == pytest.approx(1.0)
    assert result["database"]["attempts"] == 2
    assert 0 < result["database"]["share"] < 1
    assert (tmp_path / "scaling.png").is_file()


def test_a_multi_label_dataset_is_refused(capsys: Any) -> None:
    assert bench_attack.main(["peers", *TINY, "--dataset", "chest"]) == 2
    assert "multi-label" in capsys.readouterr().err


def test_the_measured_choice_is_timed_beside_fixed_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "ROUND_S", 1e-3)
    found = run(
        capsys, tmp_path / "choice.json", "choice", "--pairs", "small-cnn:28", "--rounds", "2"
    )
    (row,) = found["rows"]
    names = " ".join(row["rates"])
    assert all(words in names for words in ("taken", "unmeasured", "channels last", "whole maps"))
    assert row["ratio"] > 0 and row["usual_ratio"] > 0 and row["candidates_per_second"] > 0
    assert any(line.startswith("fastest of") for line in row["said"])
