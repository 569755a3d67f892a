"""The measured choice: what is tried, taken, left out and remembered."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inference.inference_networks import candidates, classifier, clean_images
from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.inference import captured, choices, measured, truth
from pixguard.inference.choice import Work, choose_evaluator
from pixguard.inference.choices import Choice, Choices, Measured
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.dense import DenseEvaluator
from pixguard.inference.form import Form
from pixguard.inference.limit import TimeIsUpError, time_limit
from pixguard.inference.measured import Contest
from pixguard.inference.truth import Forms, Truth
from pretended_gpu import GPU, pretended_gpu

CPU = torch.device("cpu")
MANY = 10**14
SMALL = 16
"""A side with which a pretended GPU is done soon."""


def network() -> Any:
    torch.manual_seed(1)
    return classifier(SmallCNN(3, 4))


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Millions of candidates a second by what a form's words contain; others give 100."""
    given: dict[str, float] = {}
    monkeypatch.setattr(choices, "MOST_S", 1e6)  # however slow the machine is that tests this

    def rate(self: Contest, evaluator: Any) -> float:
        form = f"{evaluator.name} {evaluator.precision} {evaluator.variant} b{evaluator.batch}."
        return 1e6 * next((speed for words, speed in given.items() if words in form), 100.0)

    monkeypatch.setattr(Contest, "_rate", rate)
    return given


def choose(
    work: Work | None = None, device: torch.device = CPU, side: int = 28, **asked: Any
) -> tuple[Any, list]:
    said: list[str] = []
    made = network().to(device)
    chosen = choose_evaluator(made, side, side, device, work=work, say=said.append, **asked)
    return chosen, said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("channels last", ("dense", "channels last")),
        ("whole maps from 0.5", ("delta", "whole maps from 0.5")),
        ("sets", ("delta", "windows by position in 2 sets")),
        ("dense", ("dense", "")),
        ("nothing of that kind", ("delta", "")),
    ],
)
def test_the_fastest_form_is_taken_and_the_others_are_told(
    speeds: dict[str, float], words: str, expected: tuple[str, str]
) -> None:
    speeds["delta float32  b"] = 100.0
    speeds[words] = 150.0
    chosen, said = choose(Work(MANY, MANY))
    assert (chosen.name, chosen.variant) == expected
    (line,) = said
    assert line.startswith("fastest of ") and "candidates/s" in line
    assert ("dense in float32" in line) and ("delta in float32" in line)


def test_a_form_that_is_hardly_faster_does_not_take_the_place_of_the_usual_one(
    speeds: dict[str, float],
) -> None:
    speeds["dense"] = 102.0
    assert choose(Work(MANY, MANY))[0].name == "delta"


def test_batches_grow_while_that_pays(speeds: dict[str, float]) -> None:
    usual = choose()[0].batch
    speeds[f"b{2 * usual}."] = 120.0
    assert choose(Work(MANY, MANY))[0].batch == 2 * usual
    assert choose(Work(MANY, MANY), batch=7)[0].batch == 7


@pytest.mark.parametrize("asked", [{"evaluator": "dense"}, {"evaluator": "delta"}])
def test_what_is_asked_for_is_not_measured(speeds: dict[str, float], asked: Any) -> None:
    speeds["channels last"] = speeds["whole maps"] = 999.0
    chosen, said = choose(Work(MANY, MANY), **asked)
    assert (chosen.name, chosen.variant, said) == (asked["evaluator"], "", [])


def test_little_work_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contest, "run", lambda *_: pytest.fail("measured"))
    for work in (None, Work(), Work(MANY, 5000), Work(5000, 5000)):
        assert choose(work)[0].name == "delta"


def test_measuring_keeps_to_its_share_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "ROUND_S", (1e-4, 1e-4))
    monkeypatch.setattr(choices, "MOST_S", 1e6)
    forms = Forms(Truth(network(), 28, 28, 1), 1 << 33, 200, 400)
    first, dense = Form("delta", "float32", 10), Form("dense", "float32", 10)
    contest = Contest(forms, first, dense, [], False, lambda _: None)
    choice, evaluator = contest.run(1)  # of which two percent is no time
    assert [one.form for one in choice.best] == [first] and evaluator.batch == 10
    assert not choice.is_complete and choice.is_due(MANY) and not choice.is_due(1)
    choice, _ = Contest(forms, first, dense, [], False, lambda _: None).run(MANY)
    assert choice.is_complete and not choice.is_due(10 * MANY)


def test_a_form_that_disagrees_or_does_not_run_is_left_out_with_one_line(
    speeds: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds["dense"] = 900.0
    run = DenseEvaluator._run

    def wrong(self: DenseEvaluator, *given: Tensor) -> Tensor:
        if self.variant:
            raise RuntimeError("no such kernel\nand a stack")
        return run(self, *given) * 1.01

    monkeypatch.setattr(DenseEvaluator, "_run", wrong)
    monkeypatch.setattr(measured, "FAMILY", -1)
    chosen, said = choose(Work(MANY, MANY))
    assert chosen.name == "delta"
    assert [line for line in said if line.startswith("left out")] == [
        "left out: dense in float32, 50 at a time: it differs from the classifier by "
        + said[0].rpartition(" ")[2],
        "left out: dense in float32, 50 at a time (channels last): no such kernel",
    ]


def test_a_choice_is_remembered_and_corrupt_ones_are_measured_anew(
    speeds: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "files" / "fastest.json"
    speeds["whole maps from 0.5"] = 150.0
    assert choose(Work(MANY, MANY, Choices(file)))[0].variant == "whole maps from 0.5"
    runs: list[int] = []
    run = Contest.run
    monkeypatch.setattr(Contest, "run", lambda self, left: runs.append(left) or run(self, left))
    for left in (0, 500, MANY):  # a resumed plan is evaluated as it was
        chosen, said = choose(Work(MANY, left, Choices(file)))
        assert (chosen.variant, said, runs) == ("whole maps from 0.5", [], [])
    assert choose(Work(MANY, MANY, Choices(file)), pixels=2)[0].name == "delta" and len(runs) == 1
    good = json.loads(file.read_text())
    for spoilt in (
        "", "[]", "{", "[" * 100_000, json.dumps(dict.fromkeys(good, 3)),
        json.dumps({k: {"best": [], "budget_s": 1, "is_complete": True} for k in good}),
        file.read_text().replace('"delta"', '"rm -rf"'), file.read_text().replace("0.5", "-1"),
    ):  # fmt: skip
        file.write_text(spoilt)
        assert Choices(file).get(next(iter(good))) is None
    assert choose(Work(MANY, MANY, Choices(file)))[0].variant == "whole maps from 0.5"
    assert len(runs) == 2


def test_a_remembered_form_of_another_precision_is_not_taken(
    speeds: dict[str, float],
) -> None:
    kept = Choices()
    choose(Work(MANY, MANY, kept))
    (key,) = kept.plain
    form = Form("dense", "bfloat16", 20)
    kept.put(key, Choice([Measured(form, 1e9)], 1.0, True))
    chosen, said = choose(Work(MANY, MANY, kept))
    assert chosen.precision == "float32"
    assert said == [f"left out: {form}: bfloat16 is not wanted"]


def test_getting_ready_must_pay_in_the_work_that_is_planned() -> None:
    eager = Form("delta", "bfloat16", 100)
    compiled = Form("dense", "bfloat16", 100, "compiled")
    choice = Choice([Measured(eager, 100.0), Measured(compiled, 200.0, 25.0)], 30.0, True)
    assert choice.for_work(4000) == eager and choice.for_work(6000) == compiled
    restored = Choices(known={"k": json.loads(json.dumps(asdict(choice)))}).get("k")
    assert restored == replace(choice, best=tuple(choice.best))


def test_a_file_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file in the place of the folder")
    kept = Choices(tmp_path / "files" / "fastest.json")
    kept.put("k", Choice([Measured(Form("dense", "float32", 1), 1.0)], 1.0, True))
    assert kept.get("k") is not None


def test_what_takes_too_long_is_interrupted() -> None:
    started = time.monotonic()
    with pytest.raises(TimeIsUpError), time_limit(0.05):
        time.sleep(20)
    assert time.monotonic() - started < 15
    with time_limit(20):
        pass


def replayed(run: Any, device: torch.device) -> tuple[Any, Tensor]:
    """As a CUDA graph: what runs again reads and writes where it did at first."""
    output = run()
    return lambda: output.copy_(run()), output


@pytest.mark.parametrize("form", ["dense", "delta"])
def test_a_captured_step_answers_for_new_candidates_images_and_batches(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures: list[int] = []

    def counted(run: Any, device: torch.device) -> tuple[Any, Tensor]:
        captures.append(1)
        return replayed(run, device)

    monkeypatch.setattr(captured, "capture", counted)
    made = network()
    forms = Forms(Truth(made, 28, 28, 2), 1 << 33, 100, 100)
    ours = forms.make(Form(form, "float32", 4, "captured"))  # type: ignore[arg-type]
    plain = forms.make(Form(form, "float32", 4))  # type: ignore[arg-type]
    assert ours.variant == "captured"
    images = clean_images(3, 3, (28, 28))
    given = tuple(candidates(images, 2))
    for batch, slots in ((4, 3), (3, 3), (3, 2)):
        few = given[0] < slots
        for evaluator in (ours, plain):
            evaluator.batch = batch
            evaluator.allocate(slots, 28, 28, 2)
            for slot in range(slots):
                evaluator.load(slot, images[slot])
        before = len(captures)
        with torch.inference_mode():
            for part in (tuple(t[few] for t in given), tuple(t[few].flip(0) for t in given)):
                assert torch.equal(ours.logits(*part), plain.logits(*part))
        assert len(captures) == before + 1


def test_on_a_gpu_precisions_and_captures_are_tried(
    speeds: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "capture", replayed)
    monkeypatch.setattr(measured, "MOST_SETS", 1)
    monkeypatch.setattr(truth, "FLOAT32_BOUND", 0.05)  # a GPU that is none knows no autocast
    monkeypatch.setattr(
        measured.threading, "main_thread", lambda: None
    )  # nothing is compiled on a GPU that is none
    with pretended_gpu():
        speeds["captured"] = 300.0
        speeds["bfloat16"] = 200.0
        chosen, said = choose(Work(MANY, MANY), GPU, SMALL)
        assert (chosen.name, chosen.precision, chosen.variant) == ("delta", "bfloat16", "captured")
        assert "delta in float32" in said[-1] and "float16," not in said[-1].replace("bfloat16", "")
        speeds.clear()
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
        )
        speeds[" float16"] = 300.0
        assert choose(Work(MANY, MANY), GPU, SMALL)[0].precision == "float16"
        assert choose(Work(MANY, MANY), GPU, SMALL, precision="float32")[0].precision == "float32"


def test_float16_needs_room(speeds: dict[str, float]) -> None:
    made = network()
    answers = Truth(made, 28, 28, 1)
    assert answers.fits("float16") and answers.fits("float32")
    with torch.no_grad():
        next(m for m in made.modules() if isinstance(m, nn.Conv2d)).weight.mul_(1e6)
    assert not Truth(made, 28, 28, 1).fits("float16")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_measures_every_form() -> None:
    chosen, said = choose(Work(10**9, 10**9), torch.device("cuda"))
    assert isinstance(chosen, DenseEvaluator | DeltaEvaluator)
    assert not [line for line in said if line.startswith("left out")]
    assert "captured" in said[-1] and "compiled" in said[-1]
