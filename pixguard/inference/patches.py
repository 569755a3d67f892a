"""Patches of feature maps, put together from clean maps and the windows of candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pixguard.inference.plan import Gather, Place

NOWHERE = -(1 << 29)
"""An index that stays negative when a valid one is added to it."""

FILLS = {"zero": 0, "lowest": 1}
"""The first two rows of every buffer: what padding is made of."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A batch of candidates.

    Attributes:
        owners: int64 (N,), the slots.
        rows, cols: int64 (N, k), the places of the changed pixels.
    """

    owners: Tensor
    rows: Tensor
    cols: Tensor


class Source:
    """The buffer of a map: rows of C values, one row a place.

    First what padding is made of, then the clean maps of all slots, then the windows of the
    candidates under way: one gather by index puts any patch together.

    Attributes:
        clean: (S, H, W, C).
        windows: (M, C, w, v), channels last, for M = N k changed pixels.
        is_lent: whether another's clean maps are these.
    """

    def __init__(
        self,
        example: Tensor,
        shape: tuple[int, ...],
        place: Place,
        slots: int,
        changed: int,
        lenders: "Sequence[Source]" = (),
    ) -> None:
        """Make room, or share that of another for the same clean maps, where one has enough.

        ``example`` gives dtype and device, ``shape`` (1, C, H, W) that of the map.
        """
        _, channels, self.height, self.width = shape
        self._sizes = (place[0].size, place[1].size)
        device = example.device
        self._rows = place[0].starts.to(device, torch.int32)
        self._cols = place[1].starts.to(device, torch.int32)
        self._first_window = len(FILLS) + slots * self.height * self.width
        last = self._first_window + changed * self._sizes[0] * self._sizes[1]
        lent: Tensor | None = next(
            (one._buffer for one in lenders if len(one._buffer) >= last), None
        )
        self.is_lent = lent is not None
        self._buffer: Tensor = example.new_zeros(last, channels) if lent is None else lent[:last]
        self._buffer[FILLS["lowest"]] = -torch.inf
        self.clean = self._buffer[len(FILLS) : self._first_window].view(
            slots, self.height, self.width, channels
        )
        windows = self._buffer[self._first_window :].view(changed, *self._sizes, channels)
        self.windows = windows.permute(0, 3, 1, 2)

    def room(self) -> tuple[Tensor, int, tuple[int, int], tuple[Tensor, Tensor]]:
        """Return where everything is, for a kernel that looks it up itself.

        The buffer, the row of it where windows begin, their sizes, and int32 (P,) where those of
        each row and each column of a pixel begin in the map.
        """
        return self._buffer, self._first_window, self._sizes, (self._rows, self._cols)

    def patches(
        self,
        gather: Gather,
        tables: Sequence[Tensor],
        changed: Changed,
        scratch: Tensor | None = None,
        *,
        clean: bool = False,
    ) -> Tensor:
        """Return patches (M, C, T, U), channels last; M is N where they are whole maps.

        Args:
            gather: which.
            tables: its rows and cols, int32, on the device.
            changed: the candidates under way.
            scratch: what to write them to, at least as large; None: new memory.
            clean: leave the candidates' windows out.
        """
        index = self._index(gather, tables, changed, clean)
        channels = self._buffer.shape[1]
        out = None if scratch is None else scratch[: index.numel() * channels].view(-1, channels)
        rows = torch.index_select(self._buffer, 0, index.flatten(), out=out)
        patches: Tensor = rows.view(-1, *index.shape[-2:], channels).permute(0, 3, 1, 2)
        return patches

    def joiners(
        self, gather: Gather, tables: Sequence[Tensor], changed: Changed
    ) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """Return what puts patches together from windows that are not in the buffer.

        Both functions take windows (M, C, w, v) and can be differentiated. The first fills up with
        the clean map, the second, for what windows add to it, with zero.
        """
        index = self._index(gather, tables, changed, clean=False)
        sides, flat = index.shape[-2:], index.flatten().long()
        within = (flat - self._first_window + 1).clamp(min=0)

        def take(first: Tensor, windows: Tensor, index: Tensor) -> Tensor:
            rows = torch.cat([first, windows.permute(0, 2, 3, 1).flatten(0, 2)])
            return rows.index_select(0, index).view(-1, *sides, rows.shape[1]).permute(0, 3, 1, 2)

        clean = self._buffer[: self._first_window]
        zero = clean.new_zeros(1, clean.shape[1])
        return (
            lambda windows: take(clean, windows, flat),
            lambda windows: take(zero, windows, within),
        )

    def _index(
        self, gather: Gather, tables: Sequence[Tensor], changed: Changed, clean: bool
    ) -> Tensor:
        """Return int32 (N, i, T, U): the row of the buffer that stands at each place of a patch.

        i is k, or 1 for whole maps. A window lies behind the clean maps in the buffer, so that of
        two valid indices the larger one is right; an invalid one is negative.
        """
        if gather.whole:
            rows = tables[0].expand(len(changed.owners), -1)[:, None]
            cols = tables[1].expand(len(changed.owners), -1)[:, None]
        else:
            rows, cols = tables[0][changed.rows], tables[1][changed.cols]
        first = len(FILLS) + changed.owners.int() * (self.height * self.width)
        index = _outer(
            torch.where(rows >= 0, rows * self.width + first[:, None, None], NOWHERE),
            torch.where(cols >= 0, cols, NOWHERE),
        )
        if not clean:
            self._put_windows(index, rows, cols, changed)
        return index.clamp_(min=FILLS[gather.fill])

    def _put_windows(self, index: Tensor, rows: Tensor, cols: Tensor, changed: Changed) -> None:
        """Let the index point to the windows of the candidate where they cover the patch."""
        count, pixels = changed.rows.shape
        size = self._sizes[0] * self._sizes[1]
        number = torch.arange(count * pixels, device=index.device, dtype=torch.int32)
        number = number.view(count, pixels) * size + self._first_window
        for pixel in range(pixels):
            within_rows = rows - self._rows[changed.rows[:, pixel, None, None]]
            within_cols = cols - self._cols[changed.cols[:, pixel, None, None]]
            valid_rows = (rows >= 0) & (within_rows >= 0) & (within_rows < self._sizes[0])
            valid_cols = (cols >= 0) & (within_cols >= 0) & (within_cols < self._sizes[1])
            offset = within_rows * self._sizes[1] + number[:, pixel, None, None]
            torch.maximum(
                index,
                _outer(offset.where(valid_rows, NOWHERE), within_cols.where(valid_cols, NOWHERE)),
                out=index,
            )

    def counted_once(self, changed: Changed) -> Tensor:
        """Return bool (N, k, w, v): each place in a candidate's windows, in the first that has it.

        Overlapping windows would otherwise count twice in a sum.
        """
        device = changed.rows.device
        first_row, first_col = self._rows[changed.rows], self._cols[changed.cols]
        rows = first_row[..., None] + torch.arange(self._sizes[0], device=device)
        cols = first_col[..., None] + torch.arange(self._sizes[1], device=device)
        once = torch.ones(*rows.shape, self._sizes[1], dtype=torch.bool, device=device)
        for pixel in range(1, changed.rows.shape[1]):
            for other in range(pixel):
                in_rows = rows[:, pixel] - first_row[:, other, None]
                in_cols = cols[:, pixel] - first_col[:, other, None]
                in_rows = (in_rows >= 0) & (in_rows < self._sizes[0])
                in_cols = (in_cols >= 0) & (in_cols < self._sizes[1])
                once[:, pixel] &= ~(in_rows[:, :, None] & in_cols[:, None, :])
        return once


def _outer(rows: Tensor, cols: Tensor) -> Tensor:
    return rows[..., :, None] + cols[..., None, :]
