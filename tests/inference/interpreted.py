"""Runs under Triton's interpreter: compares convolutions that gather with delta in float64.

Prints one line of JSON a case: how far they are off, relative to the largest logit, how much the
candidates change, and how many convolutions gathered.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
import triton.language as tl
from torch import nn
from triton.runtime import interpreter

from inference.inference_networks import candidates, classifier, clean_images
from pixguard.inference.delta import DeltaEvaluator

SIZE = (7, 9)
DOT = interpreter.InterpreterBuilder.create_dot


def widened(self: Any, first: Any, second: Any, *rest: Any) -> Any:
    """Triton's interpreter keeps bfloat16 as its bits, and would multiply those as integers."""
    operands = [
        interpreter.TensorHandle((one.data.astype(np.uint32) << 16).view(np.float32), tl.float32)
        if one.dtype.scalar == tl.bfloat16
        else one
        for one in (first, second)
    ]
    return DOT(self, *operands, *rest)


interpreter.InterpreterBuilder.create_dot = widened


class Block(nn.Module):
    """A residual block that halves its maps: 3 x 3, then 3 x 3 at stride 2, beside 1 x 1 at 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 5, 3, stride=2, padding=1, bias=False)
        self.beside = nn.Conv2d(channels, 5, 1, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(torch.relu(self.first(x))) + self.beside(x))


def networks(channels: int) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    wide = nn.Conv2d(channels, 20, (3, 2), padding=(2, 0), dilation=2, padding_mode="reflect")
    return {
        "residual": nn.Sequential(Block(channels), *end, nn.Linear(5, 4)),
        "wide": nn.Sequential(wide, nn.ReLU(), nn.Conv2d(20, 4, 1), *end),
    }


def compare(
    network: nn.Module,
    channels: int,
    pixels: int,
    dtype: torch.dtype,
    sets: int,
    whole_from: float = 2.0,
) -> dict:
    model, images = classifier(network, channels), clean_images(2, channels, SIZE)
    given = candidates(images, pixels)
    made = []
    for own, gathers in ((torch.float64, False), (dtype, False), (dtype, True)):
        evaluator = DeltaEvaluator(model.to(own) if own != dtype else model.float(), 13, own)
        evaluator.gathers, evaluator.sets, evaluator.whole_from = gathers, sets, whole_from * pixels
        evaluator.allocate(2, *SIZE, pixels)
        for slot, image in enumerate(images):
            evaluator.load(slot, image)
        made.append((evaluator, evaluator.logits(*given).double()))
    (_, exact), (_, plain), (ours, gathered) = made
    scale = exact.abs().max()
    return {
        "off": float((gathered - exact).abs().max() / scale),
        "plain": float((plain - exact).abs().max() / scale),
        "change": float((exact - exact[-1]).abs().max() / scale),
        "gathering": len(ours._gathering),
    }


if __name__ == "__main__":
    for name, dtype, pixels, channels, *parts in (
        ("residual", torch.float32, 1, 3, 1),
        ("wide", torch.float32, 1, 1, 1),
        ("residual", torch.float32, 2, 1, 2),
        ("residual", torch.float32, 1, 1, 2, 0.3),  # windows in one part, whole maps in the other
        ("residual", torch.bfloat16, 1, 1, 1),
        ("wide", torch.float16, 1, 3, 1),
    ):
        found = compare(networks(channels)[name], channels, pixels, dtype, *parts)
        print(json.dumps({"precision": str(dtype), **found}), flush=True)
