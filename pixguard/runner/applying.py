"""A denoiser or a detector at work on clean and attacked images: on those that it has not had."""

import time
from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
from typing import Any, ClassVar

from torch import Tensor

from pixguard.datasets.base import ImageDataset
from pixguard.runner.chunks import in_chunks, mixed
from pixguard.runner.images import adversarial_images, chunks_alike
from pixguard.runner.session import Session
from pixguard.store.outcomes import AttackedImage, StoredAttempt
from pixguard.store.writer import Writer

Source = StoredAttempt | AttackedImage


class Application(ABC):
    """One model at work on a dataset's images.

    Attributes:
        kept: what is safe after a stop, in words.
    """

    kept: ClassVar[str]

    def __init__(
        self,
        session: Session,
        writer: Writer,
        dataset: ImageDataset,
        present: Container[tuple[int | None, int]],
    ) -> None:
        """Take the keys (attempt id, image id) of what the database holds already."""
        self.session, self.writer, self.dataset = session, writer, dataset
        self._present = present

    @abstractmethod
    def run(self, images: Tensor) -> Sequence[Any]:
        """Return what the model makes of images, float32 (N, C, H, W) in [0, 1]: N results."""

    @abstractmethod
    def store(self, source: Source, result: Any, elapsed_ms: float) -> bool:
        """Store a result; return whether it is one of those that are counted."""

    def apply(
        self, images: Sequence[StoredAttempt] | Sequence[AttackedImage], title: str, counted: str
    ) -> tuple[int, int, int]:
        """Return how many were found, how many were done now, and how many of those count."""
        todo = mixed([i for i in images if (i.attempt_id, i.image_id) not in self._present])
        chunks = chunks_alike(self.dataset, todo)
        done = hits = 0
        for chunk, note in in_chunks(
            self.session, title, chunks, len(todo), kept=self.kept, writer=self.writer
        ):
            started = time.perf_counter()
            _, attacked = adversarial_images(self.session, self.dataset, chunk)
            results = self.run(attacked)
            elapsed_ms = (time.perf_counter() - started) * 1000 / len(chunk)
            for source, result in zip(chunk, results, strict=True):
                hits += self.store(source, result, elapsed_ms)
            done += len(chunk)
            note(f"{100 * hits / done:.1f} % {counted}")
        return len(images) - len(todo), done, hits
