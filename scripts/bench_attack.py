#!/usr/bin/env python3
"""How fast pixguard attacks, against others and by its parts. It reports times, and asserts none.

    scripts/bench_attack.py peers --model resnet50 --size 28 --unsuccessful --out peers.json
    scripts/bench_attack.py evaluators --model resnet50 --sizes 28,64,128,224,512,1024
    scripts/bench_attack.py scaling --model resnet50 --size 28
    scripts/bench_attack.py choice --pairs small-cnn:28,resnet50:64,squeezenet1_0:224

``peers`` runs torchattacks.OnePixel, ART's PixelAttack, the plain dense loop, and pixguard with
both evaluators, one after the other in this process, on the same weights, images and budget. Their
successes are judged again after rounding to 8 bits. The peers are an extra, which changes no
version that pixguard is pinned to:

    uv pip install -e '.[bench]' -c constraints.txt

With ``--unsuccessful`` every attempt takes its whole budget: the bias of the network's last layer
gives the decision such a lead that no candidate flips it. Nobody stops early then, while the
candidates keep their order by the true class's probability, so that pixguard's searches converge,
and repeat themselves, as on the network itself. (torchattacks compares float32 probabilities, which
may tie near 1; that changes its path and not its cost.)

``choice`` lets the measured choice choose for networks and sizes, and times what it took in turn
with forms that one could have fixed.

The tables are Markdown, on stdout; ``--out FILE.json`` also writes JSON, the table and, but for
``peers`` and ``choice``, a plot.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import choosing, comparison, evaluators, output, scaling
from benchmarks.contenders import Budget, best_batch, contenders
from benchmarks.subjects import Source, Subject, open_subject
from benchmarks.timing import within_memory
from pixguard.errors import PixguardError
from pixguard.models.device import describe, pick_device

UNTRAINED = (
    "The weights are untrained: a query costs what it costs on trained ones, but a search "
    "converges otherwise, so that the share of candidates that are evaluated is another. Measure "
    "it with --weights, or with --db."
)

PAIRS = (
    "small-cnn:28,small-cnn:64,small-cnn:128,resnet50:64,resnet50:224,densenet121:64,"
    "densenet121:224,squeezenet1_0:224"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark; return the exit code."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        result, text = options.run(options, pick_device(options.device))
    except PixguardError as error:
        print(f"bench_attack: {error.message}\n  next: {error.hint}", file=sys.stderr)
        return error.exit_code
    print(text)
    if options.out is not None:
        output.write(options.out, result, text)
    return 0


def run_peers(options: argparse.Namespace, device: torch.device) -> tuple[dict[str, Any], str]:
    """Compare with others on one subject."""
    subject = _subject(options, device, options.size, options.images, options.unsuccessful)
    budget = Budget(options.pixels, options.population, options.generations)
    size = subject.images.shape[1]
    allowed = within_memory(
        subject.classifier, size, list(range(1, budget.population + 1)), options.memory_gib
    )
    everybody = contenders(
        best_batch(subject, budget, allowed[-1]),
        precision=options.precision,
        engine_batch=options.batch,
        slots=options.slots,
    )
    wanted = options.only or list(everybody)
    chosen = {name: everybody[name] for name in wanted}
    rows = comparison.compare(subject, budget, chosen, options.peer_generations, options.rounds)
    notes = [] if subject.trained else [UNTRAINED]
    notes += [
        f"{row['name']}: {row['oct_hours']:,.1f} hours for {comparison.OCT_IMAGES:,} images of "
        f"{budget.queries:,} queries."
        for row in rows
        if "oct_hours" in row
    ]
    if options.unsuccessful and any(row.get("claimed") for row in rows):
        notes.append("Some attempts succeeded in spite of the lead: raise --lead.")
    title = f"{size} pixels, {budget.pixels} changed; s/budget is for {budget.queries:,} queries"
    return _report(options, subject, device, title, rows, comparison.COLUMNS, notes)


def run_evaluators(options: argparse.Namespace, device: torch.device) -> tuple[dict[str, Any], str]:
    """Compare the evaluators over image sizes."""
    rows = []
    for size in options.sizes:
        subject = _subject(options, device, size, options.images, False)
        rows.append(
            evaluators.compare_evaluators(
                subject,
                options.batches,
                pixels=options.pixels,
                rounds=options.rounds,
                precision=options.precision,
                memory_gib=options.memory_gib,
                peak_tflops=options.peak_tflops,
                distinct_share=options.distinct_share,
            )
        )
    title = f"{options.pixels} pixel(s) changed; median of {options.rounds} alternating rounds"
    lines = {"dense_rate": "dense", "delta_rate": "delta"}
    if options.out is not None:
        _plot(options, rows, ("size", "side of the image, pixels"), lines, subject)
    return _report(options, subject, device, title, rows, evaluators.COLUMNS, [])


def run_choice(options: argparse.Namespace, device: torch.device) -> tuple[dict[str, Any], str]:
    """Compare the measured choice with fixed ones."""
    rows = []
    for network, size in options.pairs:
        source = Source(network, size, options.channels)
        subject = open_subject(source, 1, device)
        rows.append(
            choosing.compare(subject, network, options.planned, options.pixels, options.rounds)
        )
    title = f"{options.pixels} pixel(s) changed; median of {options.rounds} alternating rounds"
    subject = replace(subject, words="Untrained networks on phantoms")
    return _report(options, subject, device, title, rows, choosing.COLUMNS, [])


def run_scaling(options: argparse.Namespace, device: torch.device) -> tuple[dict[str, Any], str]:
    """Measure cost against the number of images, and where the time goes."""
    subject = _subject(options, device, options.size, max(options.counts), True)
    budget = Budget(options.pixels, options.population, options.generations)
    rows = scaling.scale(
        subject,
        budget,
        options.counts,
        evaluator=options.evaluator,
        precision=options.precision,
        batch=options.batch,
    )
    notes = [] if subject.trained else [UNTRAINED]
    extra: dict[str, Any] = {}
    if options.database_images:
        size = subject.images.shape[1]
        share = scaling.database_share(
            options.database_model, size, options.database_images, budget, device
        )
        extra["database"] = share
        notes.append(
            f"Database: {100 * share['share']:.2f} % of {share['seconds']:.1f} s in a run of "
            f"`pixguard attack` with {share['attempts']} attempts ({options.database_model})."
        )
    if options.out is not None:
        lines = {"queries_per_second": f"queries, {options.evaluator}"}
        _plot(options, rows, ("images", "images"), lines, subject)
    title = (
        f"{budget.pixels} pixel(s), {budget.queries:,} queries an image; shares of the wall time"
    )
    return _report(options, subject, device, title, rows, scaling.COLUMNS, notes, **extra)


def _subject(
    options: argparse.Namespace,
    device: torch.device,
    size: int | None,
    count: int,
    unsuccessful: bool,
) -> Subject:
    source = Source(
        options.model,
        size,
        options.channels,
        options.dataset,
        options.images_from,
        options.weights,
        options.db,
    )
    return open_subject(source, count, device, lead=options.lead if unsuccessful else None)


def _report(
    options: argparse.Namespace,
    subject: Subject,
    device: torch.device,
    title: str,
    rows: list[dict[str, Any]],
    columns: Mapping[str, str],
    notes: list[str],
    **extra: Any,
) -> tuple[dict[str, Any], str]:
    heading = f"{subject.words}; {title}; {describe(device)}"
    text = "\n\n".join([heading, output.markdown(rows, columns), *notes])
    settings = {name: value for name, value in vars(options).items() if name not in ("run", "out")}
    parts = {"subject": subject.words, "rows": rows, "notes": notes, **extra}
    return output.result(options.command, settings, **parts), text


def _plot(
    options: argparse.Namespace,
    rows: list[dict[str, Any]],
    x: tuple[str, str],
    lines: Mapping[str, str],
    subject: Subject,
) -> None:
    options.out.parent.mkdir(parents=True, exist_ok=True)
    title = f"{options.model}, {describe(subject.device)}"
    output.plot(options.out.with_suffix(".png"), rows, x, lines, title)


def numbers(text: str) -> list[int]:
    """Return the positive whole numbers of ``1,2,4``, ascending."""
    found = sorted({int(part) for part in text.split(",")})
    if found[0] < 1:
        raise argparse.ArgumentTypeError("positive numbers, separated by commas")
    return found


def pairs(text: str) -> list[tuple[str, int]]:
    """Return the pairs of ``resnet50:64,small-cnn:28``."""
    try:
        return [(part.split(":")[0], int(part.split(":")[1])) for part in text.split(",")]
    except (IndexError, ValueError):
        raise argparse.ArgumentTypeError("network:size, separated by commas") from None


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    peers = commands.add_parser("peers", help="against torchattacks, ART and a plain loop")
    _common(peers, size=True, budget=True)
    peers.add_argument("--images", type=int, default=4)
    peers.add_argument("--unsuccessful", action="store_true", help="no attempt may succeed")
    peers.add_argument("--only", nargs="+", choices=list(contenders(1)), help="measure these only")
    peers.add_argument(
        "--peer-generations",
        type=int,
        help="fewer generations for those whose queries all cost the same: compare s/budget",
    )
    peers.add_argument("--rounds", type=int, default=1, help="turns of each; medians of the time")
    peers.add_argument("--batch", type=int, help="pixguard's candidates at a time")
    peers.add_argument("--slots", type=int, help="pixguard's images at a time")
    peers.set_defaults(run=run_peers)

    sizes = commands.add_parser("evaluators", help="dense against delta, by image size")
    _common(sizes, size=False, budget=False)
    sizes.add_argument("--sizes", type=numbers, default=numbers("28,64,128,224,512,1024"))
    sizes.add_argument("--batches", type=numbers, default=numbers("1,4,16,50,100,200"))
    sizes.add_argument("--images", type=int, default=2, help="that the candidates are of")
    sizes.add_argument("--rounds", type=int, default=5)
    sizes.add_argument("--peak-tflops", type=float, help="of the device, at this precision")
    sizes.add_argument(
        "--distinct-share", type=float, default=1.0, help="evaluated share, as `peers` found it"
    )
    sizes.set_defaults(run=run_evaluators)

    choice = commands.add_parser("choice", help="the measured choice against fixed ones")
    choice.add_argument("--pairs", type=pairs, default=pairs(PAIRS), help="network:size,...")
    choice.add_argument("--planned", type=int, default=10**8, help="candidates: 2 %% to measure")
    choice.add_argument("--channels", type=int, choices=(1, 3))
    choice.add_argument("--pixels", type=int, default=1)
    choice.add_argument("--rounds", type=int, default=5)
    choice.add_argument("--threads", type=int, default=2)
    choice.add_argument("--device", default="cpu")
    choice.add_argument("--out", type=Path, help="FILE.json; the table gets the same name")
    choice.set_defaults(run=run_choice)

    growth = commands.add_parser("scaling", help="by number of images; where the time goes")
    _common(growth, size=True, budget=True)
    growth.add_argument("--counts", type=numbers, default=numbers("1,2,4,8,16,32,64"))
    growth.add_argument("--evaluator", choices=("auto", "dense", "delta"), default="auto")
    growth.add_argument("--batch", type=int, help="candidates at a time")
    growth.add_argument(
        "--database-images",
        type=int,
        default=20,
        help="attempts of the run that is stored; 0: none",
    )
    growth.add_argument("--database-model", default="small-cnn", help="classifier of that run")
    growth.set_defaults(run=run_scaling)
    return top


def _common(command: argparse.ArgumentParser, *, size: bool, budget: bool) -> None:
    add = command.add_argument
    add("--model", default="resnet50", help="architecture; with --db also an id or latest")
    if size:
        add("--size", type=int, help="side of the images; default: 28, with --db as registered")
    add("--channels", type=int, choices=(1, 3), help="default 1, or as the images have")
    add("--dataset", help="name of the dataset, with --db or --images-from")
    add("--images-from", type=Path, help="file or folder of real images; default: phantoms")
    add("--weights", type=Path, help="file of trained weights; default: untrained")
    add("--db", type=Path, help="pixguard database with the trained classifier")
    add("--pixels", type=int, default=1)
    if budget:
        add("--population", type=int, default=100)
        add("--generations", type=int, default=100)
    add("--lead", type=float, default=10.0, help="of the decision, in logits, where none may flip")
    add("--threads", type=int, default=2)
    add("--device", default="cpu")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    add("--memory-gib", type=float, default=8.0, help="for the activations of a dense batch")
    add("--out", type=Path, help="FILE.json; table and plot get the same name")


if __name__ == "__main__":
    sys.exit(main())
