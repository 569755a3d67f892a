#!/usr/bin/env python3
"""How fast pixguard trains denoisers, against a plain PyTorch loop. Reports times, asserts none.

    scripts/bench_denoisers.py --size 64 --channels 1 --images 256 --rounds 5 --out denoisers.json

Both train the same model from fresh weights on the same images for one epoch: Adam, batches of 16,
10 % impulse noise, in turn, round after round, in this process. The plain loop is what people
write: a dataset whose items make their own noise, a DataLoader as it comes, float32, a look at the
loss after every batch. The images are random bytes, for the time does not depend on them.

The table is Markdown, on stdout; ``--out FILE.json`` also writes it, and all rounds as JSON.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks import output
from benchmarks.timing import synchronised
from pixguard.config import DenoiserSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.defences.denoisers.noise2noise import annealed_l0
from pixguard.defences.training import train_denoiser
from pixguard.errors import PixguardError
from pixguard.models.device import describe, pick_device
from pixguard.models.training_loop import Workplace
from pixguard.models.weights import parameter_counts

MODELS = [entry.name for entry in DENOISERS if entry.trained]

COLUMNS = {
    "model": "denoiser",
    "parameters": "parameters",
    "ours": "pixguard, images/s",
    "plain": "plain loop, images/s",
    "ratio": "ratio",
    "lowest": "lowest",
    "highest": "highest",
}


class NoisyImages(Dataset[tuple[Tensor, Tensor]]):
    """Images with noise of their own, and what a denoiser is to make of them."""

    def __init__(self, images: Images, settings: DenoiserSettings) -> None:
        self.images = images
        self.settings = settings

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        clean = torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 255
        level = self.settings.noise
        if self.settings.name == "median-cnn":
            level = 0.1 * int(torch.randint(1, 10, ()))
        if self.settings.name == "noise2noise":
            return with_impulses(clean, level), with_impulses(clean, level)
        return with_impulses(clean, level), clean


def with_impulses(image: Tensor, level: float) -> Tensor:
    """Return an image (C, H, W) in which pixels are replaced by random colours."""
    return torch.where(torch.rand(image.shape[1:]) < level, torch.rand_like(image), image)


def plain_seconds(images: Images, settings: DenoiserSettings, device: torch.device) -> float:
    """Return the time of one epoch as people write it."""
    denoiser = build_denoiser(settings.name, images.shape[-1]).to(device).train()
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=settings.learning_rate)
    loader = DataLoader(NoisyImages(images, settings), settings.batch_size, shuffle=True)
    started = synchronised(device)
    for batch, (noisy, target) in enumerate(loader):
        optimizer.zero_grad()
        restored, target = denoiser(noisy.to(device)), target.to(device)
        if settings.name == "noise2noise":
            loss = annealed_l0(restored - target, 2 * (1 - batch / len(loader)))
        else:
            loss = nn.functional.mse_loss(restored, target)
        torch.autograd.backward(loss)
        optimizer.step()
        loss.item()
    return synchronised(device) - started


def our_seconds(images: Images, settings: DenoiserSettings, device: torch.device) -> float:
    """Return the time of one epoch of pixguard's loop."""
    return train_denoiser(settings, images, images[:0], Workplace(device)).fit.seconds


def measure(name: str, images: Images, rounds: int, device: torch.device) -> dict[str, Any]:
    """Return a row: throughputs, and their ratio in every round."""
    settings = DenoiserSettings(name, epochs=1)
    loops = {"ours": our_seconds, "plain": plain_seconds}
    seconds: dict[str, list[float]] = {loop: [] for loop in loops}
    for run in loops.values():  # one batch each: what is compiled and allocated once
        run(images[: settings.batch_size], settings, device)
    for turn in range(rounds):
        for loop in sorted(loops, reverse=bool(turn % 2)):
            seconds[loop].append(loops[loop](images, settings, device))
    ratios = [plain / ours for ours, plain in zip(*seconds.values(), strict=True)]
    return {
        "model": name,
        "parameters": f"{parameter_counts(build_denoiser(name, images.shape[-1]))[0]:,}",
        "ours": len(images) / median(seconds["ours"]),
        "plain": len(images) / median(seconds["plain"]),
        "ratio": median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "seconds": seconds,
    }


def dae_against_autoencoder(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the DAE's training costs in autoencoders, where both were measured."""
    by_name = {row["model"]: row for row in rows}
    if not {"autoencoder", "dae"} <= by_name.keys():
        return []
    small, large = by_name["autoencoder"], by_name["dae"]
    ours, plain = (small[loop] / large[loop] for loop in ("ours", "plain"))
    return [
        f"The DAE takes {ours:.2f} times as long as the autoencoder in pixguard's loop, "
        f"{plain:.2f} times in the plain one (the paper: about 1.33 times)."
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = parser().parse_args(arguments)
    if options.images % 16 == 1:
        parser().error("--images: batch normalisation cannot take a last batch of one image")
    torch.set_num_threads(options.threads)
    shape = (options.images, options.size, options.size, options.channels)
    images: Images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    try:
        device = pick_device(options.device)
        rows = [measure(name, images, options.rounds, device) for name in options.models]
    except PixguardError as error:
        print(f"bench_denoisers: {error.message}\n  next: {error.hint}", file=sys.stderr)
        return error.exit_code
    heading = (
        f"One epoch of {options.images} images of {options.size} x {options.size}, "
        f"{options.channels} channel(s), batches of 16; medians of {options.rounds} alternating "
        f"rounds; {describe(device)}, {options.threads} thread(s)"
    )
    notes = dae_against_autoencoder(rows)
    text = "\n\n".join([heading, output.markdown(rows, COLUMNS), *notes])
    print(text)
    if options.out is not None:
        settings = {name: value for name, value in vars(options).items() if name != "out"}
        result = output.result("denoisers", settings, rows=rows, notes=notes)
        output.write(options.out, result, text)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = top.add_argument
    add("--size", type=int, default=64, help="side of the images in pixels")
    add("--channels", type=int, choices=(1, 3), default=1)
    add("--images", type=positive, default=128, help="images an epoch; no multiple of 16 plus one")
    add("--rounds", type=positive, default=3, help="turns of each loop")
    add("--models", nargs="+", choices=MODELS, default=MODELS)
    add("--threads", type=positive, default=2)
    add("--device", default="cpu")
    add("--out", type=Path, help="FILE.json; the table gets the same name")
    return top


def positive(text: str) -> int:
    """Return a number of at least 1."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
