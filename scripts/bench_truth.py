#!/usr/bin/env python
"""What a survey of pixels costs and settles, on a part of each image's pixels.

    scripts/bench_truth.py --db derma.db --dataset derma --images 50 --pixels 12

Opens a database with a trained classifier, takes right test images in an order drawn at random, and
surveys as many pixels of each, drawn too. Prints the shares of pixels that are proven, fooled and
open, with bounds, evaluations and processor seconds; an image's are a pixel's times their number.
The budget of bounds is an image's, in proportion. For 1 channel it compares
with all 256 values of the same pixels, evaluated by the same evaluator.
"""

import argparse
import time

import torch

from pixguard.attacks.engine.margin_bounds import MarginBounds
from pixguard.attacks.engine.objectives import choose_objective
from pixguard.attacks.engine.survey import Surveyor
from pixguard.attacks.registry import ExhaustiveOptions
from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.inference.choice import choose_evaluator
from pixguard.models.inputs import to_unit_range
from pixguard.runner.chunks import mixed
from pixguard.runner.judging import judged
from pixguard.runner.subject import open_subject
from pixguard.store.engine import reading


def main() -> None:
    """Survey, and print a line an image and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--db", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--model", default="latest")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--pixels", type=int, default=12, help="of each image")
    parser.add_argument("--most-bounds", type=int, default=ExhaustiveOptions().most_bounds)
    given = parser.parse_args()
    torch.set_num_threads(1)
    request = DatasetRequest(given.dataset)
    with open_session(given.db, "cpu", request) as session:
        subject = open_subject(session, request, given.model)
        with reading(session.database) as engine:
            predictions = judged(session, engine, subject)
    dataset, classifier = subject.dataset, subject.classifier
    right = [i for i, p in predictions.items() if p.predicted == dataset.label_set(i)]
    side, device = dataset.info.size, torch.device("cpu")
    evaluator = choose_evaluator(classifier, side, side, device, precision="float32", batch=98)
    evaluator.allocate(1, side, side, 1)
    objective = choose_objective(dataset.info.task, targeted=False)
    places, count = side * side, given.pixels
    budget = max(1, given.most_bounds * count // places)
    surveyor = Surveyor(
        classifier, evaluator, objective, MarginBounds(classifier, objective, print), budget
    )
    stream = torch.Generator().manual_seed(0)
    total = dict.fromkeys(("proven", "fooled", "open", "bounds", "evaluations", "seconds"), 0.0)
    compared = {"agree": 0, "values": 0, "seconds": 0.0}
    for number, index in enumerate(mixed(right)[: given.images], 1):
        (image,) = dataset.images([index])
        label = predictions[index].predicted
        clean = torch.zeros(1, classifier.label_count, dtype=torch.bool)
        clean[0, list(label)] = True
        focus = torch.tensor([max(label, default=0)])
        order = torch.randperm(places, generator=stream)
        begun = time.process_time()
        survey = surveyor(image, clean, focus, order[count:])
        seconds = time.process_time() - begun
        fooled, left = int(survey.fooled.sum()), int(survey.open.sum())
        now = (count - fooled - left, fooled, left, survey.bounds, survey.evaluations, seconds)
        for name, value in zip(total, now, strict=True):
            total[name] += value
        if dataset.info.channels == 1:
            begun = time.process_time()
            evaluator.load(0, to_unit_range(image[None], device)[0])
            where = order[:count].repeat_interleave(256)
            values = torch.arange(256).byte().repeat(count)[:, None, None]
            at = torch.stack([where // side, where % side], -1)[:, None]
            logits = evaluator.logits(torch.zeros_like(where), at, values)
            part = clean.expand(len(where), -1), focus.expand(len(where))
            hits = objective.judge(classifier, logits, *part)[1].view(count, 256).any(1)
            compared["seconds"] += time.process_time() - begun
            compared["values"] += len(where)
            compared["agree"] += int((hits == torch.from_numpy(survey.fooled)[order[:count]]).sum())
        print(number, index, dict(zip(total, now, strict=True)), flush=True)
    pixels = number * count
    print(f"{number} images, {pixels} pixels")
    for name, value in total.items():
        scale = 100 / pixels if name in ("proven", "fooled", "open") else places / pixels
        print(f"{name}: {scale * value:.4g} {'%' if scale == 100 / pixels else 'an image'}")
    if compared["values"]:
        print(
            f"all values: {places * 256} evaluations, "
            f"{places / pixels * compared['seconds']:.4g} seconds an image; "
            f"{compared['agree']} of {pixels} verdicts agree"
        )


if __name__ == "__main__":
    main()
