"""The attacks as Python objects: tensors in, tensors out, without a database.

An attack is made once and called on batches, as in Foolbox and torchattacks. The searches, the
scheduler and the judging from stored bytes are those of the command line; the options of each
class are those that the registry declares.
"""

import warnings
from dataclasses import Field, dataclass, field, fields, make_dataclass
from functools import cache
from typing import Any, ClassVar, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.attacks.engine.gradients import TRIED, search_remark
from pixguard.attacks.engine.jobs import Job
from pixguard.attacks.engine.objectives import Objective, choose_objective
from pixguard.attacks.engine.packing import pack, search_precision
from pixguard.attacks.engine.scheduler import Scheduler
from pixguard.attacks.engine.search import Search, make_search
from pixguard.attacks.inputs import (
    as_classifier,
    check_classes,
    evaluation_mode,
    stored_bytes,
    true_indicators,
)
from pixguard.attacks.registry import AttackEntry
from pixguard.attacks.result import AttackResult, Draft
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.outputs import Outputs
from pixguard.config import AttackSettings, EvaluatorName, PrecisionName, Settings
from pixguard.config.settings import SETTING, check
from pixguard.datasets.base import image_sha256
from pixguard.inference.choice import choose_evaluator
from pixguard.models.weights import content_sha256
from pixguard.progress import Silent
from pixguard.records import Task, digest

_DEFAULT = AttackSettings()


@dataclass(frozen=True, eq=False)
class Attack:
    """What all attacks have in common; use a class derived from it.

    Attributes:
        classifier: a :class:`~pixguard.classifiers.classifier.Classifier`, or any module that maps
            float32 images (N, C, H, W) in [0, 1] to logits (N, L). It stays on its device, is in
            evaluation mode during a call, and afterwards in the mode it was in.
        pixels: k, how many pixels are changed; of a dense attack 0, which stands for all.
        seed: with an image's bytes, label and target, it gives the random stream of an attempt:
            neither batch mates nor order have a part in it.
        batch: candidates evaluated at a time; None: by the device's memory and the images at hand.
            Kernels may differ in the last bits between batch sizes: give it to fix these too.
        evaluator: how candidates are evaluated: ``auto``, ``dense`` or ``delta``.
        precision: of the search: ``auto``, ``float32`` or ``bfloat16``; results are judged in
            float32.
        task: what a plain module's logits mean: ``multi-class`` (softmax; taken for None) or
            ``multi-label`` (sigmoid). A Classifier has its own.
        threshold: of a plain multi-label module, in (0, 1): a label is given from this
            probability on; None: 0.5. A Classifier has its own.
        outputs: what a plain module gives: ``logits`` (N, L), or ``probabilities``, which are
            inverted; (N, 1) stands for two classes. None: logits; what looks like probabilities is
            refused.

    Raises:
        TypeError: the classifier is not a torch module.
        ValueError: an option is out of range.
    """

    entry: ClassVar[AttackEntry]
    """In :data:`pixguard.attacks.ATTACKS`."""

    classifier: nn.Module = field(repr=False)
    pixels: int = _DEFAULT.pixels
    seed: int = field(default=_DEFAULT.seed, kw_only=True)
    batch: int | None = field(default=_DEFAULT.batch, kw_only=True)
    evaluator: EvaluatorName = field(default=_DEFAULT.evaluator, kw_only=True)
    precision: PrecisionName = field(default=_DEFAULT.precision, kw_only=True)
    task: Task | None = field(default=None, kw_only=True)
    threshold: float | None = field(default=None, kw_only=True)
    outputs: Outputs | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.classifier, nn.Module):
            raise TypeError(f"classifier must be a torch.nn.Module, got {self.classifier!r}")
        given = (self.task, self.threshold, self.outputs)
        if isinstance(self.classifier, Classifier) and given != (None, None, None):
            raise ValueError(
                "task, threshold and outputs are for plain modules: a Classifier has its own"
            )
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie in (0, 1), got {self.threshold}")
        if self.entry.dense and self.pixels:
            raise ValueError(f"{self.entry.name} changes all pixels: leave pixels out")
        for option in ("batch",) if self.entry.dense else ("pixels", "batch"):
            if (value := getattr(self, option)) is not None and value < 1:
                raise ValueError(f"{option} must be at least 1, got {value}")
        for option, kind in get_type_hints(type(self)).items():
            check(option, getattr(self, option, None), kind)
        self.options()

    def options(self) -> Settings:
        """Return the attack's own options.

        Raises:
            ValueError: one is out of its bounds.
        """
        assert self.entry.options is not None
        given = {item.name: getattr(self, item.name) for item in fields(self.entry.options)}
        if isinstance(given.get("surrogate"), nn.Module):
            given["surrogate"] = content_sha256(given["surrogate"].state_dict())
        options: Settings = self.entry.options(**given)
        return options

    def __call__(
        self, images: Tensor, labels: Tensor, targets: Tensor | None = None
    ) -> AttackResult:
        """Attack images.

        Args:
            images: (N, C, H, W), C of 1 or 3: uint8, or float32 or float64 in [0, 1] that 8 bits
                can hold (k / 255 within 1e-4).
            labels: the true ones. Multi-class: int64 (N,). Multi-label: bool (N, L).
            targets: int64 (N,). Multi-class: the class that each image shall be taken for.
                Multi-label: the label that shall flip. None: any change of the decision will do.

        Raises:
            TypeError: something is not a torch tensor, or of another dtype.
            ValueError: a wrong shape, range or option; images that 8 bits cannot hold.
            UsageError: the attack does not work with these options.
        """
        stored = stored_bytes(images)
        # Tensors born in a caller's inference mode could not carry a white-box search's gradient.
        surrogate = [m for m in [getattr(self, "surrogate", None)] if isinstance(m, nn.Module)]
        modules = nn.ModuleList([self.classifier, *surrogate])
        with torch.inference_mode(False), evaluation_mode(modules):
            classifier = as_classifier(
                self.classifier, images, self.task, self.threshold, self.outputs
            )
            truth = true_indicators(classifier, labels, len(stored))
            if targets is not None:
                check_classes("targets", targets, classifier, len(stored))
                if classifier.task == "multi-class" and (targets.cpu() == labels.cpu()).any():
                    raise ValueError("targets must differ from labels")
            search = self._search(stored)
            search.surrogate = self._surrogate(classifier, images)
            draft = Draft(classifier, stored, truth, self.pixels, search.counts_distinct)
            jobs = self._jobs(search, draft, None if targets is None else targets.tolist())
            objective = choose_objective(classifier.task, targeted=targets is not None)
            remark = search_remark(
                classifier,
                objective,
                [job for job, _ in jobs.values()][:TRIED],
                classifier.mean.device,
                uses_gradients=search.uses_gradients,
            )
            if remark:
                warnings.warn(remark, RuntimeWarning, stacklevel=2)
            scheduler = self._scheduler(classifier, search, objective, len(jobs), stored)
            for outcome in scheduler.run((job for job, _ in jobs.values()), Silent()):
                for index in jobs[outcome.job.key][1]:
                    draft.enter(index, outcome)
        if draft.broken:
            message = f"the classifier's output is not finite for images {draft.broken}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        if draft.undecided:
            message = f"no verdict within the budget on images {draft.undecided}: not robust either"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        return draft.result(images)

    def _search(self, stored: NDArray[np.uint8]) -> Search:
        _, height, width, channels = stored.shape
        if self.pixels > height * width:
            raise ValueError(f"images of {height} x {width} do not have {self.pixels} pixels")
        pixels = 1 if self.entry.dense else self.pixels
        search = make_search(self.entry.name, self.options(), pixels=pixels, channels=channels)
        if search.most_queries(height, width) < 1:
            raise ValueError("these options leave no candidate to ask for")
        return search

    def _surrogate(self, classifier: Classifier, images: Tensor) -> Classifier | None:
        module = getattr(self, "surrogate", None)
        if module is None:
            return None
        if not isinstance(module, nn.Module):
            raise TypeError(f"surrogate must be a torch.nn.Module, got {module!r}")
        state = content_sha256(module.state_dict())
        if module is self.classifier or state == content_sha256(self.classifier.state_dict()):
            raise ValueError("the surrogate is the attacked classifier: that is order='gradient'")
        found = as_classifier(module, images, self.task, self.threshold, self.outputs)
        if (found.task, found.label_count) != (classifier.task, classifier.label_count):
            raise ValueError(
                f"the surrogate is {found.task} of {found.label_count} labels, the classifier "
                f"{classifier.task} of {classifier.label_count}"
            )
        return found

    def _jobs(
        self, search: Search, draft: Draft, targets: list[int] | None
    ) -> dict[str, tuple[Job, list[int]]]:
        """Return the attempts to make, each with the indices of the (equal) images it is for."""
        record = search.record
        attack = [record.name, record.version, record.pixels, record.parameters_hash, self.seed]
        jobs: dict[str, tuple[Job, list[int]]] = {}
        for index in draft.attacked.nonzero().flatten().tolist():
            image, labels = draft.stored[index], draft.truth[index].nonzero().flatten().tolist()
            target = None if targets is None else targets[index]
            key = digest([*attack, image_sha256(image), labels, target])
            focus = target if target is not None else (labels or [0])[0]
            jobs.setdefault(key, (Job(key, image, tuple(labels), focus), []))[1].append(index)
        return jobs

    def _scheduler(
        self,
        classifier: Classifier,
        search: Search,
        objective: Objective,
        count: int,
        stored: NDArray[np.uint8],
    ) -> Scheduler:
        _, height, width, _ = stored.shape
        evaluator = choose_evaluator(
            classifier,
            height,
            width,
            classifier.mean.device,
            evaluator=self.evaluator,
            pixels=self.pixels,
            precision=search_precision(self.precision, search),
            batch=self.batch,
            say=_warn,
        )
        slots = pack(evaluator, search, count, count)
        return Scheduler(
            classifier,
            evaluator,
            search,
            objective,
            slots=slots,
            device=classifier.mean.device,
            say=_warn,
        )


@cache
def attack_class(entry: AttackEntry) -> type[Attack]:
    """Return the class of an attack: :class:`Attack` and the options that the registry declares."""
    assert entry.options is not None
    hints = get_type_hints(entry.options)
    own = [(item.name, hints[item.name], _keyword(item)) for item in fields(entry.options)]
    if entry.dense:
        own = [("pixels", int, 0), *own]
    described = "\n".join(
        f"    {item.name}: {item.metadata[SETTING].help}" for item in fields(entry.options)
    )
    namespace = {
        "entry": entry,
        "__doc__": f"{entry.summary}\n\nOptions beside those of every attack:\n{described}\n",
        "__module__": "pixguard.attacks",
    }
    made: type[Attack] = make_dataclass(
        entry.class_name, own, bases=(Attack,), namespace=namespace, frozen=True, eq=False
    )
    return made


def _keyword(item: "Field[Any]") -> Any:
    return field(default=item.default, kw_only=True)


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
