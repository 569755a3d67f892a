"""A convolution that gathers its patches itself, in Triton: no patch is ever written to memory.

What :class:`pixguard.inference.patches.Source` puts together by an index, this kernel looks up for
each tap while it multiplies: clean map, windows of the layer before, or padding. Bias and rectifier
follow before the result is stored, in the windows of the next layer where that keeps them. SIGE (Li
et al. 2022) found that apart gather, convolution and scatter leave 23 to 40 % of what is saved.

Imported only where it is asked for: triton comes with torch's wheels for CUDA, not with others.
"""

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor, nn

from pixguard.inference.patches import FILLS, Changed, Source

BLOCK_PLACES, BLOCK_CHANNELS, LEAST = 64, 32, 16
"""Outputs and input channels at a time; tensor cores take no fewer than 16."""


@triton.jit
def _kernel(
    buffer, weight, bias, out, owners, rows, cols, row_table, col_table, row_starts, col_starts,
    outputs, first_window, height, width, row_taps, col_taps, out_height, out_width,
    CHANNELS: tl.constexpr, OUT_CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
    KERNEL_ROWS: tl.constexpr, KERNEL_COLS: tl.constexpr,
    STRIDE_ROWS: tl.constexpr, STRIDE_COLS: tl.constexpr,
    DILATION_ROWS: tl.constexpr, DILATION_COLS: tl.constexpr,
    WINDOW_ROWS: tl.constexpr, WINDOW_COLS: tl.constexpr, CLEAN: tl.constexpr,
    RECTIFIED: tl.constexpr, PLACES: tl.constexpr, BLOCK_IN: tl.constexpr, BLOCK_OUT: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * PLACES + tl.arange(0, PLACES)
    channel = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    is_place, is_channel = place < outputs, channel < OUT_CHANNELS
    window = tl.where(is_place, place // (out_height * out_width), 0)
    out_row = place // out_width % out_height
    out_col = place % out_width
    candidate = window // PIXELS
    own_row, own_col = tl.load(rows + window), tl.load(cols + window)
    clean = CLEAN + tl.load(owners + candidate) * (height * width)
    total = tl.zeros((PLACES, BLOCK_OUT), dtype=tl.float32)
    for row_tap in range(KERNEL_ROWS):
        row = tl.load(
            row_table + own_row * row_taps + out_row * STRIDE_ROWS + row_tap * DILATION_ROWS
        )
        for col_tap in range(KERNEL_COLS):
            col = tl.load(
                col_table + own_col * col_taps + out_col * STRIDE_COLS + col_tap * DILATION_COLS
            )
            is_inside = is_place & (row >= 0) & (col >= 0)
            index = clean + row * width + col
            for pixel in range(PIXELS):
                other = candidate * PIXELS + pixel
                within_row = row - tl.load(row_starts + tl.load(rows + other))
                within_col = col - tl.load(col_starts + tl.load(cols + other))
                covers = (within_row >= 0) & (within_row < WINDOW_ROWS)
                covers = covers & (within_col >= 0) & (within_col < WINDOW_COLS)
                changed = first_window + (other * WINDOW_ROWS + within_row) * WINDOW_COLS
                index = tl.where(covers, changed + within_col, index)
            tap = row_tap * KERNEL_COLS + col_tap
            for start in range(0, CHANNELS, BLOCK_IN):
                inner = start + tl.arange(0, BLOCK_IN)
                is_inner = inner < CHANNELS
                values = tl.load(
                    buffer + index.to(tl.int64)[:, None] * CHANNELS + inner[None, :],
                    mask=is_inside[:, None] & is_inner[None, :],
                    other=0.0,
                )
                weights = tl.load(
                    weight + (tap * CHANNELS + inner)[:, None] * OUT_CHANNELS + channel[None, :],
                    mask=is_inner[:, None] & is_channel[None, :],
                    other=0.0,
                )
                total = tl.dot(values.to(weights.dtype), weights, total, input_precision="ieee")
    total += tl.load(bias + channel, mask=is_channel, other=0.0).to(tl.float32)[None, :]
    if RECTIFIED:  # what is not a number stays that, as in torch
        total = tl.where(total < 0, 0.0, total)
    tl.store(
        out + place.to(tl.int64)[:, None] * OUT_CHANNELS + channel[None, :],
        total.to(out.dtype.element_ty),
        mask=is_place[:, None] & is_channel[None, :],
    )


class Gathering:
    """A convolution of windows, with zeros as its padding or none, and in one group."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        weight, bias = convolution.weight, convolution.bias
        self._weight = weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
        self._bias = weight.new_zeros(len(weight)) if bias is None else bias
        self._slide = (*convolution.kernel_size, *convolution.stride, *convolution.dilation)

    def __call__(
        self,
        source: Source,
        tables: Sequence[Tensor],
        changed: Changed,
        out: Tensor,
        *,
        rectified: bool = False,
    ) -> Tensor:
        """Write the windows (M, C', t, u), channels last, to ``out``, and return it.

        Args:
            source: of the input.
            tables: int32 (P, T) and (P, U), on the device: the rows and columns of each patch.
            changed: the candidates under way.
            out: of the windows' shape, in one piece with channels last.
            rectified: whether a rectifier follows.
        """
        count, channels_out, height, width = out.shape
        assert out.permute(0, 2, 3, 1).is_contiguous()
        buffer, first_window, sizes, starts = source.room()
        channels, outputs = buffer.shape[1], count * height * width
        block_out = min(128, max(LEAST, triton.next_power_of_2(channels_out)))
        block_in = min(BLOCK_CHANNELS, max(LEAST, triton.next_power_of_2(channels)))
        grid = (triton.cdiv(outputs, BLOCK_PLACES), triton.cdiv(channels_out, block_out))
        _kernel[grid](
            buffer, self._weight, self._bias, out, changed.owners.contiguous(),
            changed.rows.contiguous(), changed.cols.contiguous(), *tables, *starts,
            outputs, first_window, source.height, source.width,
            tables[0].shape[1], tables[1].shape[1], height, width,
            channels, channels_out, changed.rows.shape[1], *self._slide, *sizes, len(FILLS),
            rectified, BLOCK_PLACES, block_in, block_out,
        )  # fmt: skip
        return out
