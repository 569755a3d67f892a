import io
import resource
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pixguard.errors import PixguardError, UsageError
from pixguard.files import write_atomically
from pixguard.models.prefetching import read_ahead
from pixguard.models.training_loop import Fit, fit, stalled
from pixguard.progress import Silent
from pixguard.records import EpochRecord
from support import StopAfter


class Learner:
    """A trainee with everything that a checkpoint must bring back: dropout, momentum, a rate."""

    def __init__(self, train_size: int = 33, *, stop_at: int = 99, scale: float = 1.0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            layers = [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 1)]
            self.module = nn.Sequential(*layers)
            self.data = torch.randn(train_size, 4) * scale
        self.optimizer = torch.optim.Adam(self.module.parameters())
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 3, gamma=0.1)
        self.train_size = train_size
        self.stop_at = stop_at
        self.batches: list[list[int]] = []
        self.draws: list[float] = []

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        assert self.module.training

    def read(self, indices: np.ndarray) -> tuple[Tensor, ...]:
        return (torch.from_numpy(indices),)

    def train_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        (indices,) = batch
        self.batches.append(indices.tolist())
        noise = torch.randn(len(indices), 4, generator=generator)
        self.draws.append(float(noise[0, 0]))
        output = self.module(self.data[indices] + noise)
        return output.square().mean(), torch.tensor(len(indices) // 2)

    def validate(self, epoch: int) -> tuple[float | None, float | None]:
        self.module.eval()
        self.scheduler.step()
        return 0.5, 0.25

    def should_stop(self, record: object) -> bool:
        return record.epoch >= self.stop_at


def run(learner: Learner, checkpoint: Path | None = None, **changed: object) -> Fit:
    settings = {"epochs": 4, "batch_size": 8, "seed": 1, "stop": Silent()} | changed
    return fit(learner, checkpoint=checkpoint, display=Silent(), title="test", **settings)


def weights(learner: Learner) -> list[Tensor]:
    return list(learner.module.state_dict().values())


def test_resumed_training_is_bitwise_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, parts = Learner(), Learner()
    uninterrupted = run(whole)
    stopped = run(parts, tmp_path / "c.pt", stop=StopAfter(10))
    assert (len(stopped.epochs), stopped.finished) == (2, False)
    torch.rand(3)  # what else drew random numbers in between must not matter
    parts = Learner()
    resumed = run(parts, tmp_path / "c.pt")
    assert all(map(torch.equal, weights(whole), weights(parts)))
    assert resumed.finished
    assert [e.train_loss for e in resumed.epochs] == [e.train_loss for e in uninterrupted.epochs]
    assert whole.batches[8:] == parts.batches and whole.draws[8:] == parts.draws
    assert resumed.epochs[:2] == stopped.epochs
    assert resumed.seconds == pytest.approx(sum(e.seconds for e in resumed.epochs))
    assert not whole.module.training


def test_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first = run(Learner(stop_at=2), tmp_path / "c.pt")
    again = Learner(stop_at=2)
    assert run(again, tmp_path / "c.pt") == first
    assert len(first.epochs) == 2 and first.finished and again.batches == []


def test_epochs_hold_losses_and_accuracies() -> None:
    (record,) = run(Learner(train_size=16), epochs=1).epochs
    assert (record.epoch, record.val_loss, record.val_accuracy) == (1, 0.5, 0.25)
    assert record.train_accuracy == 0.5 and record.seconds > 0


def test_training_leaves_the_global_random_state_alone() -> None:
    torch.default_generator.manual_seed(5)
    expected = torch.rand(4)
    torch.default_generator.manual_seed(5)
    run(Learner(), epochs=1)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    ("images", "batch", "sizes"),
    [(33, 8, [8, 8, 8, 9]), (34, 8, [8, 8, 8, 8, 2]), (32, 8, [8] * 4), (9, 8, [9]), (3, 9, [3])],
)
def test_every_image_is_seen_once_and_no_batch_holds_one(
    images: int, batch: int, sizes: list[int]
) -> None:
    learner = Learner(images)
    run(learner, epochs=2, batch_size=batch)
    first, second = learner.batches[: len(sizes)], learner.batches[len(sizes) :]
    assert [len(b) for b in first] == sizes
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(images))
    assert first != second
    assert len(set(learner.draws)) == len(learner.draws)


def test_seed_decides_the_order() -> None:
    one, same, other = Learner(), Learner(), Learner()
    run(one, epochs=1), run(same, epochs=1), run(other, epochs=1, seed=2)
    assert one.batches == same.batches != other.batches


@pytest.mark.parametrize("changed", [{"epochs": 5}, {"batch_size": 4}, {"seed": 2}])
def test_checkpoint_of_another_training_is_refused(tmp_path: Path, changed: dict[str, int]) -> None:
    run(Learner(), tmp_path / "c.pt")
    with pytest.raises(PixguardError, match=r"c\.pt is the checkpoint of another training") as e:
        run(Learner(), tmp_path / "c.pt", **changed)
    assert "rm " in e.value.hint


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    run(Learner(), tmp_path / "c.pt")
    other = Learner()
    other.module = nn.Sequential(nn.Linear(4, 1))
    with pytest.raises(PixguardError, match="another training"):
        run(other, tmp_path / "c.pt")


def _truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip_a_bit(content: bytes) -> bytes:
    weight = torch.load(io.BytesIO(content), weights_only=True)["module"]["0.weight"]
    middle = content.index(weight.numpy().tobytes())
    return content[:middle] + bytes([content[middle] ^ 0x40]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [_truncate, _flip_a_bit, lambda _: b"", lambda _: b"not a checkpoint"]
)
def test_damaged_checkpoint_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "c.pt"
    run(Learner(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PixguardError, match=r"c\.pt cannot be read as a checkpoint") as error:
        run(Learner(), path)
    assert str(path) in error.value.hint


def test_checkpoint_never_runs_code(tmp_path: Path) -> None:
    path, witness = tmp_path / "c.pt", tmp_path / "witness"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (witness,)

    torch.save({"format": Evil()}, path)
    with pytest.raises(PixguardError, match="cannot be read"):
        run(Learner(), path)
    assert not witness.exists()


@pytest.mark.parametrize("scale", [float("inf"), float("nan")])
def test_loss_that_is_not_finite_is_an_error(scale: float) -> None:
    with pytest.raises(PixguardError, match="diverged: the loss is nan at epoch 1, batch 1"):
        run(Learner(scale=scale))


@pytest.mark.parametrize(("images", "epochs", "batch"), [(0, 1, 1), (5, 0, 1), (5, 1, 0)])
def test_nothing_to_do_is_a_usage_error(images: int, epochs: int, batch: int) -> None:
    with pytest.raises(UsageError, match="cannot train"):
        run(Learner(images), epochs=epochs, batch_size=batch)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 1000 bytes, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("full_disk")
def test_full_disk_is_told_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    write_atomically(path, b"old")
    with pytest.raises(PixguardError, match=r"cannot write .*c\.pt") as error:
        write_atomically(path, b"x" * 2000)
    assert "space" in error.value.hint
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(PixguardError, match=r"cannot write .*d\.pt"):
        run(Learner(), tmp_path / "d.pt")


@pytest.mark.parametrize(
    ("losses", "patience", "over"),
    [
        ([], 1, False),
        ([3.0, 2.0, 2.0], 2, False),
        ([3.0, 2.0, 2.0, 2.5], 2, True),
        ([3.0, 4.0, 5.0, 2.0], 2, False),
        ([float("nan"), float("nan")], 2, True),
        ([2.0] * 9, None, False),
    ],
)
def test_training_stalls_without_a_better_validation_loss(
    losses: list[float], patience: int | None, over: bool
) -> None:
    records = [EpochRecord(n, 1.0, loss, None, None, 1.0) for n, loss in enumerate(losses, 1)]
    assert stalled(records, patience) is over


def test_batches_are_read_ahead_in_order_and_only_so_far() -> None:
    begun: list[int] = []

    def read(indices: np.ndarray) -> tuple[Tensor, ...]:
        begun.append(int(indices[0]))
        return (torch.from_numpy(indices),)

    batches = [np.array([n]) for n in range(20)]
    given = read_ahead(read, batches, 3)
    for n in range(10):
        (batch,) = next(given)
        assert batch.item() == n
        assert n + 1 <= len(begun) <= n + 4
    given.close()
    assert begun == list(range(len(begun))) and len(begun) < 20


def test_what_reading_raises_is_raised_at_its_batch() -> None:
    def read(indices: np.ndarray) -> tuple[Tensor, ...]:
        if indices[0] == 2:
            raise PixguardError("cannot be read", "mend it")
        return ()

    given = read_ahead(read, [np.array([n]) for n in range(4)], 3)
    assert [next(given), next(given)] == [(), ()]
    with pytest.raises(PixguardError, match="cannot be read"):
        next(given)
