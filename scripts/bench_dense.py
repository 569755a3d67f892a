#!/usr/bin/env python
"""Dense attacks beside the same ones of other libraries, on one classifier and the same images.

    pip install --target DIR --no-deps torchattacks pyautoattack requests
    PYTHONPATH=DIR scripts/bench_dense.py --db pixguard.db --dataset pneumoniamnist --limit 50

Prints, for each attack, norm and distance: how many images the other library's real-valued images
fool, how many still do once rounded to the nearest 8 bits (in l2 some then lie a little too far),
and how many pixguard's do; for FGSM also how many of pixguard's images are theirs, rounded.
torchattacks has all but AutoAttack, which is pyautoattack's: its parts without restarts, and with
three classes or less without the ratio.
It writes nothing.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import pixguard.attacks as ours
from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.runner.subject import open_subject

DISTANCES = {"linf": (1.0, 2.0, 4.0), "l2": (0.25, 0.5)}
Attack = Callable[[Tensor, Tensor], Tensor]


def theirs(model: nn.Module, classes: int, steps: int, queries: int) -> dict[str, Any]:
    """Return other libraries' attacks, each made of a norm and a distance for images in [0, 1]."""
    import torchattacks
    from pyautoattack import AutoAttack

    def auto(norm: str, eps: float) -> Attack:
        parts = ["apgd-ce", *(["apgd-t"] if classes > 3 else []), "fab-t", "square"]
        made = AutoAttack(model, norm=norm, eps=eps, version="custom", attacks=parts, seed=0)
        made.apgd.n_iter = made.fab.n_iter = steps
        made.apgd_targeted.n_iter, made.square.n_queries = steps, queries
        made.apgd.n_restarts = made.fab.n_restarts = made.apgd_targeted.n_restarts = 1
        made.fab.n_target_classes = min(9, classes - 1)
        made.apgd_targeted.n_target_classes = min(9, classes - 1)
        return lambda images, labels: made.run_standard_evaluation(images, labels)[0]

    def pgd(norm: str, eps: float) -> Attack:
        step = 2.5 * eps / steps
        kind = torchattacks.PGD if norm == "Linf" else torchattacks.PGDL2
        made: Attack = kind(model, eps=eps, alpha=step, steps=steps)
        return made

    def fab(norm: str, eps: float) -> Attack:
        made: Attack = torchattacks.FAB(
            model, norm, eps, steps, multi_targeted=True, n_classes=classes
        )
        return made

    return {
        "fgsm": lambda norm, eps: torchattacks.FGSM(model, eps) if norm == "Linf" else None,
        "pgd": pgd,
        "apgd": lambda norm, eps: torchattacks.APGD(model, norm, eps, steps),
        "fab": fab,
        "square": lambda norm, eps: torchattacks.Square(model, norm, eps, n_queries=queries),
        "auto-attack": auto,
    }


def lines(
    classifier: Any, images: Tensor, labels: Tensor, given: argparse.Namespace
) -> Iterator[str]:
    """Attack by each, and yield a line an attack and distance."""
    eight_bits = (images * 255).round().to(torch.uint8)

    def fooled(levels: Tensor) -> int:
        with torch.no_grad():
            return int((classifier(levels / 255).argmax(1) != labels).sum())

    others = theirs(classifier, classifier.label_count, given.steps, given.queries)
    options = {
        "fgsm": {},
        "square": {"queries": given.queries},
        "auto-attack": {"steps": given.steps, "square_queries": given.queries},
    }
    for norm, distances in DISTANCES.items():
        for eps in distances:
            for name in given.only or others:
                torch.manual_seed(0)
                other = others[name](norm.capitalize(), eps / 255 if norm == "linf" else eps)
                if other is None:
                    continue
                begun = time.process_time()
                made = other(images, labels).detach()
                their_s = time.process_time() - begun
                kind = getattr(ours, ours.ATTACKS[name].class_name)
                own = options.get(name, {"steps": given.steps})
                begun = time.process_time()
                result = kind(classifier, norm=norm, eps=eps, **own)(eight_bits, labels)
                our_s = time.process_time() - begun
                whole = (made * 255).round()
                same = ""
                if name == "fgsm":
                    colours = result.colours.transpose(1, 2).reshape(whole.shape)
                    same = f", same image {int((colours == whole).all((1, 2, 3)).sum())}"
                yield (
                    f"{name:12} {norm:4} {eps:5g}: theirs {fooled(made * 255):3}, in 8 bits "
                    f"{fooled(whole):3}, ours {int(result.success.sum()):3}{same}; "
                    f"{their_s:.1f} and {our_s:.1f} CPU s"
                )


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--model", default="latest")
    parser.add_argument("--limit", type=int, default=50, help="right test images, as many")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--queries", type=int, default=300, help="of square")
    parser.add_argument("--only", action="append", help="an attack; repeat for several")
    given = parser.parse_args()
    torch.set_num_threads(1)
    request = DatasetRequest(given.dataset)
    with open_session(given.db, "cpu", request) as session:
        subject = open_subject(session, request, given.model)
    dataset, classifier = subject.dataset, subject.classifier
    order = torch.randperm(len(dataset.indices("test")), generator=torch.Generator().manual_seed(0))
    indices = dataset.indices("test")[order.numpy()]
    images = torch.from_numpy(dataset.images(indices)).permute(0, 3, 1, 2).float() / 255
    labels = torch.tensor([dataset.label_set(int(index))[0] for index in indices])
    with torch.no_grad():
        right = (classifier(images).argmax(1) == labels).nonzero()[: given.limit, 0]
    print(f"{len(right)} images, {classifier.label_count} classes", flush=True)
    for line in lines(classifier, images[right].contiguous(), labels[right], given):
        print(line, flush=True)


if __name__ == "__main__":
    main()
