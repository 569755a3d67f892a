"""The measured choice: of all forms that a device offers, the one that is fastest on it."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pixguard.errors import is_out_of_memory
from pixguard.inference.base import Evaluator
from pixguard.inference.choices import Choice, Measured, budget_s
from pixguard.inference.delta import DeltaEvaluator
from pixguard.inference.form import MOST_SETS, Form
from pixguard.inference.limit import TimeIsUpError, time_limit
from pixguard.inference.truth import Forms

ROUNDS = 3
"""How often two forms are timed in turn: what else a machine does falls on both."""
ROUND_S, ROUND_SHARE = (0.01, 0.1), 0.01
"""What a form is timed for at a time: that share of the whole, at least and at most so long."""
BATCHES = (4, 2, 0.5)
"""How many times the usual batch is tried."""
CLEAR = 1.05
"""How many times as fast a form must be to take the place of another: less is noise."""
HOPELESS = 0.7
"""A form of that speed, relative to the best, is not timed again; and one that is slower than
:data:`FAMILY` is not varied."""
FAMILY = 0.4
DENSE_FROM_SHARE = 0.05
"""What delta must leave of the multiply-adds for dense to be tried."""
COMPILE_S = 20.0
"""What must be left to compile: on no known device has it taken less for a deep network."""


def left_out(form: Form, error: Exception) -> str:
    """Return in one line why a form is not taken."""
    reason = "out of memory" if is_out_of_memory(error) else str(error).strip().partition("\n")[0]
    return f"left out: {form}: {reason or type(error).__name__}"


class Contest:
    """Lets forms run against each other, each against the best so far.

    Args:
        forms: makes them.
        first: what is taken unmeasured.
        dense: the first one that is dense.
        precisions: others that may be taken.
        fixed_batch: whether batches are to stay as they are.
        say: told what is left out, and at the end what was found.
    """

    def __init__(
        self,
        forms: Forms,
        first: Form,
        dense: Form,
        precisions: Sequence[str],
        fixed_batch: bool,
        say: Callable[[str], None],
    ) -> None:
        self.first, self._precisions = first, precisions
        self._forms, self._dense = forms, dense
        self._fixed_batch, self._say, self._device = fixed_batch, say, forms.truth.device
        self._ratios: dict[Form, float] = {}
        self._rates: dict[Form, float] = {}
        self._is_complete, self._round_s = True, ROUND_S[0]

    def run(self, left: int) -> tuple[Choice, Evaluator]:
        """Return what was found, and the evaluator of the best form.

        Args:
            left: candidates that are still to be evaluated.

        Raises:
            Exception: what :meth:`Forms.checked` raises for the first form.
        """
        self._begun_s, form = time.perf_counter(), self.first
        self._evaluator = self._forms.checked(form)
        self._ready_s = time.perf_counter() - self._begun_s
        rate = self._rates[form] = self._rate(self._evaluator)
        self._best, self._ratios[form] = [Measured(form, rate)], 1.0
        self._budget_s = budget_s(left, rate)
        self._round_s = min(max(ROUND_SHARE * self._budget_s, ROUND_S[0]), ROUND_S[1])
        for offer in self._offers():
            if offer not in self._rates:
                self._try(offer)
        self._tell()
        return Choice(self._best, self._budget_s, self._is_complete), self._evaluator

    def checked(self, form: Form) -> Evaluator:
        """Return an evaluator of a form that was found to be the fastest before.

        Raises:
            Exception: this device does not offer it, or it is not right.
        """
        if form.precision not in (self.first.precision, *self._precisions):
            raise ValueError(f"{form.precision} is not wanted")
        return self._forms.checked(form)

    def _offers(self) -> Iterator[Form]:
        """Yield forms to try; what comes later is made from the best by then."""
        on_gpu, dense, share = self._device.type == "cuda", self._dense, self._share()
        if share is None:
            dense = self._now
        elif share > DENSE_FROM_SHARE:
            yield dense
        if dense.precision == "float32" and self._ratios.get(dense, 0) > FAMILY:
            yield replace(dense, channels_last=True)
        for precision in self._precisions:
            if self._forms.truth.fits(precision):
                yield replace(self._now, precision=precision, channels_last=False)
        if on_gpu:
            yield replace(self._now, execution="captured")
        if on_gpu and self._share() is not None:
            yield replace(self._now, gathers=True)
        if self._share() is not None:
            for whole_from in (0.7, 0.5):
                yield replace(self._now, whole_from=whole_from)
            for sets in range(1, MOST_SETS):
                if self._now.sets == sets:  # more sets only where fewer pay
                    yield replace(self._now, sets=sets + 1)
        usual = self._now.batch
        for times in () if self._fixed_batch else BATCHES:
            batch = int(usual * times)
            if 1 <= batch <= self._forms.most(self._evaluator):
                yield replace(self._now, batch=batch)
        is_main = threading.current_thread() is threading.main_thread()  # others cannot be stopped
        if on_gpu and is_main and self._ratios.get(dense, 0) > FAMILY:
            dense = self._now if self._share() is None else dense
            yield replace(dense, execution="compiled")

    @property
    def _now(self) -> Form:
        return self._best[-1].form

    def _share(self) -> float | None:
        """Return what the best form leaves of the multiply-adds; None where it is dense."""
        return self._evaluator.share if isinstance(self._evaluator, DeltaEvaluator) else None

    def _left_s(self) -> float:
        return self._budget_s - (time.perf_counter() - self._begun_s)

    def _expected_s(self, form: Form) -> float:
        """Return how long a form takes to be tried, if it is as fast as the best so far is.

        Dense is taken to be slower by what it computes more.
        """
        share = self._share()
        times = 1 / share if share and form.evaluator == "dense" else 1.0
        own_s, best_s = (f.batch * f.sets**2 / self._best[-1].rate for f in (form, self._now))
        timed_s = max(self._round_s, times * own_s) + max(self._round_s, best_s)
        compile_s = COMPILE_S if form.execution == "compiled" else 0.0
        return times * (self._ready_s + own_s) + ROUNDS * timed_s + compile_s

    def _try(self, form: Form) -> None:
        """Time a form against the best so far; it takes its place where it is clearly faster."""
        self._rates[form] = 0.0
        if self._expected_s(form) > self._left_s():
            self._is_complete = False
            return
        try:
            with time_limit(self._left_s()):
                begun_s = time.perf_counter()
                evaluator = self._forms.checked(form)
                setup_s = time.perf_counter() - begun_s if form.execution == "compiled" else 0.0
                if self._is_the_same(form, evaluator):
                    return
                ratio = self._ratio(form, evaluator)
        except TimeIsUpError:
            self._is_complete = False
        except Exception as error:  # of a compiler, a driver, a kernel that there is not
            self._say(left_out(form, error))
        else:
            self._ratios[form] = ratio
            if ratio >= CLEAR:
                self._best.append(Measured(form, self._best[-1].rate * ratio, setup_s))
                self._evaluator = evaluator

    def _is_the_same(self, form: Form, evaluator: Evaluator) -> bool:
        """Tell whether maps that are computed whole from another share on are the same maps."""
        share = evaluator.share if isinstance(evaluator, DeltaEvaluator) else None
        return share == self._share() and self._now == replace(
            form, whole_from=self._now.whole_from
        )

    def _ratio(self, form: Form, evaluator: Evaluator) -> float:
        rates, ratios = list[float](), list[float]()
        for _ in range(ROUNDS):
            rates.append(self._rate(evaluator))
            ratios.append(rates[-1] / self._rate(self._evaluator))
            if ratios[0] < HOPELESS:
                break
        self._rates[form] = statistics.median(rates)
        return statistics.median(ratios)

    def _rate(self, evaluator: Evaluator) -> float:
        """Return candidates per second, of full batches."""
        if not isinstance(evaluator, DeltaEvaluator):
            return self._rate_of(evaluator.logits, self._candidates(evaluator.batch))
        owners, positions, colours = self._candidates(evaluator.batch)
        return 1 / sum(
            weight / self._rate_of(part.evaluated, (owners, part.moved(positions), colours))
            for weight, part in evaluator.parts
        )

    def _rate_of(self, logits: Callable[..., Tensor], candidates: tuple[Tensor, ...]) -> float:
        done, begun_s = 0, self._time_s()
        while (seconds := self._time_s() - begun_s) < self._round_s or not done:
            logits(*candidates)
            done += len(candidates[0])
        return done / seconds

    def _candidates(self, count: int) -> tuple[Tensor, ...]:
        """Return candidates on the image, drawn anew but always the same."""
        truth, stream = self._forms.truth, torch.Generator().manual_seed(0)
        drawn = torch.rand(count, truth.pixels, 2, generator=stream)
        colours = torch.randint(
            256, (count, truth.pixels, truth.classifier.channels), generator=stream
        )
        parts = (
            torch.zeros(count, dtype=torch.int64),
            (drawn * torch.tensor(truth.shape)).long(),
            colours.byte(),
        )
        return tuple(part.to(self._device) for part in parts)

    def _time_s(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _tell(self) -> None:
        """Say what is taken and what the others gave, in one line."""
        others = sorted(
            ((rate, form) for form, rate in self._rates.items() if rate and form != self._now),
            key=lambda one: -one[0],
        )
        if not others:
            return
        seconds = time.perf_counter() - self._begun_s
        told = "; ".join(f"{form}: {rate:,.0f}" for rate, form in others)
        self._say(
            f"fastest of {len(others) + 1} forms in {seconds:.1f} s of trials: {self._now}: "
            f"{self._best[-1].rate:,.0f} candidates/s; {told}"
        )
