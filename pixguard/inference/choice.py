"""Which form of evaluation, for a classifier on a device."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

import pixguard
from pixguard.classifiers.classifier import Classifier
from pixguard.config import EvaluatorName, PrecisionName
from pixguard.errors import is_out_of_memory
from pixguard.inference.base import Evaluator
from pixguard.inference.choices import Choices
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.dense import automatic_batch
from pixguard.inference.form import Form
from pixguard.inference.measured import Contest, left_out
from pixguard.inference.truth import EXACT_BOUND, Forms, Truth
from pixguard.records import digest

CPU_WORK_BYTES = 160 << 20
"""A batch's feature maps on a CPU: larger ones leave the caches, and tensors above 32 MiB are given
back to the system after every use."""
MOST = {"cpu": 100, "cuda": 1024}
"""Candidates at a time, at most, where nothing is measured."""
LEAST_BATCHES = 200
"""Planned work of fewer batches is not measured for: the first two would be a percent of it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What an evaluator is chosen for; without any, nothing is measured.

    Attributes:
        planned: candidates of the whole plan.
        left: how many of them are still to be evaluated.
        choices: what was measured before, and what keeps what is measured now.
    """

    planned: int = 0
    left: int = 0
    choices: Choices = field(default_factory=Choices)


def choose_evaluator(
    classifier: Classifier,
    height: int,
    width: int,
    device: torch.device,
    *,
    pixels: int = 1,
    evaluator: EvaluatorName = "auto",
    precision: PrecisionName = "auto",
    batch: int | None = None,
    work: Work | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Evaluator:
    """Return the evaluator for candidates on images of a size.

    The delta evaluator is compared with the classifier itself on a few candidates, in float64,
    and taken only where they agree.

    Args:
        classifier: in evaluation mode, on the device.
        height: of the images, in pixels.
        width: of the images, in pixels.
        device: where to compute.
        pixels: how many pixels a candidate changes; 0: all, which only ``dense`` can evaluate.
        evaluator: ``auto`` takes what was measured to be the fastest, where there is enough work;
            otherwise delta where the classifier allows it.
        precision: ``auto`` takes bfloat16 on a GPU that has it, float32 elsewhere; measured, a GPU
            may take another where it is faster in it.
        batch: candidates evaluated at a time; None: by the device's memory, or as measured.
        work: what it is for.
        say: told why what was asked for is not what is taken, and what was measured.
    """
    if not pixels:
        evaluator = "dense"
    usual, others = _precisions(device, precision)
    on_gpu, memory = device.type == "cuda", _memory_bytes(device)
    most_dense = automatic_batch(device, max(height, width))
    truth = Truth(classifier, height, width, pixels)
    forms = Forms(truth, memory, most_dense * (4 if on_gpu else 1), 4 * MOST[device.type])
    first = Form("dense", usual, batch or most_dense)
    made = forms.make(first)
    delta = None if evaluator == "dense" else _delta(forms, usual, say)
    if delta is not None and (delta.share < 1 or evaluator == "delta"):
        candidate_bytes, slot_bytes = delta.memory()
        at_work = memory // 4 if on_gpu else CPU_WORK_BYTES
        delta.batch = batch or max(1, min(MOST[device.type], at_work // candidate_bytes))
        delta.most_slots = max(1, memory // 8 // slot_bytes)
        first, made = Form("delta", usual, delta.batch), delta
    if evaluator != "auto" or work is None:
        return made
    # A quarter is faster on a CPU, where the maps then stay in the caches.
    few = most_dense if on_gpu else max(1, most_dense // 4)
    rival = Form("dense", usual, batch or few)
    contest = Contest(forms, first, rival, others, batch is not None, say)
    key = _key(classifier, device, f"{height} x {width}", pixels, precision, batch)
    return _fastest(contest, key, work, say) or made


def _delta(forms: Forms, precision: str, say: Callable[[str], None]) -> DeltaEvaluator | None:
    """Return the delta evaluator, allocated for one image; None where there is no use of it."""
    try:
        difference = forms.truth.of_windows()
        delta = forms.make(Form("delta", precision, 1))
        assert isinstance(delta, DeltaEvaluator)
        delta.allocate(1, *forms.truth.shape, forms.truth.pixels)
    except Exception as error:  # NotTraceableError, or a node that does not run by itself
        if is_out_of_memory(error):
            raise
        say(f"delta evaluation is not possible for this classifier, going dense ({error})")
        return None
    if not difference <= EXACT_BOUND:  # nor where an answer is not finite
        say(f"delta evaluation differs from the classifier by {difference:.2g}, going dense")
        return None
    return delta


def _fastest(
    contest: Contest, key: str, work: Work, say: Callable[[str], None]
) -> Evaluator | None:
    """Return the fastest evaluator, measured now or before; None where that is the usual one."""
    choice, form = work.choices.get(key), contest.first
    try:
        if choice is None or choice.is_due(work.left):
            if choice is None and work.left < LEAST_BATCHES * form.batch:
                return None
            choice, best = contest.run(work.left)
            work.choices.put(key, choice)
            if choice.for_work(work.planned) == choice.best[-1].form:
                return best
        form = choice.for_work(work.planned)
        return None if form == contest.first else contest.checked(form)
    except Exception as error:  # whatever it is, there is the usual one
        say(left_out(form, error))
        return None


def _precisions(device: torch.device, asked: PrecisionName) -> tuple[str, list[str]]:
    """Return the precision that is taken unmeasured, and others that may be taken."""
    if asked != "auto":
        return asked, []
    if device.type != "cuda" or not torch.cuda.is_bf16_supported():
        return "float32", []
    emulated = not torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16", ["float32", "float16"] if emulated else ["float32"]


def place_of(device: torch.device) -> str:
    """Return what makes two devices equally fast, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


def _key(classifier: Classifier, device: torch.device, *asked: object) -> str:
    """Return what a choice holds for, in words that tell a reader what it is of."""
    shapes = [[name, list(value.shape)] for name, value in classifier.state_dict().items()]
    network = digest([repr(classifier), shapes])[:16]
    versions = f"torch {torch.__version__}, pixguard {pixguard.__version__}"
    return "; ".join(map(str, (place_of(device), f"network {network}", *asked, versions)))


def _memory_bytes(device: torch.device) -> int:
    """Return all of a device's memory: what is free now would give a resumed run other batches."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
