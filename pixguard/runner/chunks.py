"""The one loop over work that is done in chunks: progress, commits, stops."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from pixguard.runner.session import Session
from pixguard.store.writer import Writer

T = TypeVar("T")
Note = Callable[[str], None]


def in_chunks(
    session: Session,
    title: str,
    chunks: Iterable[Sequence[T]],
    total: int,
    *,
    kept: str,
    again: str | None = None,
    writer: Writer | None = None,
    unit: str = "images",
    done: int = 0,
) -> Iterator[tuple[Sequence[T], Note]]:
    """Yield chunks; after each show progress, commit, and look whether a stop was requested.

    Args:
        session: who watches, and who may stop it.
        title: of the progress bar.
        chunks: the work, cut so that a chunk is quickly done.
        total: items in all, those done before included.
        kept: what is safe after a stop, in words.
        again: the command that goes on; None: the same one.
        writer: flushed after every chunk, where there is one.
        unit: what an item is, in the plural.
        done: items that were done before.

    Yields:
        each chunk, and a function that sets the note beside the bar.

    Raises:
        InterruptedRunError: a stop was requested; the finished chunks are committed.
    """
    note = ""

    def set_note(text: str) -> None:
        nonlocal note
        note = text

    with session.display.track(title, total, unit) as progress:
        if done:
            progress.update(done)
        for chunk in chunks:
            yield chunk, set_note
            done += len(chunk)
            progress.update(done, note)
            if writer is not None:
                writer.flush()
            session.honour_stop(kept, again)


def mixed(items: Sequence[T]) -> list[T]:
    """Return items in an order drawn at random, the same at every call.

    What an interruption leaves is then an unbiased sample, where the order of images (by class) or
    of attempts (successes end early) would make it a biased one.
    """
    return [items[place] for place in np.random.default_rng(0).permutation(len(items))]


def cut(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield a sequence in parts of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))
