"""Attack a classifier under the alarm of the repair: no search misses what this one does not.

    python scripts/studies/alarm.py DATABASE DATASET [--images 30] [--step 16] [--false-alarms 0.01]

For grayscale images. Of each right test image every pixel takes every ``--step``-th level, black
and white among them. Counted are the images that some change fools, that some change fools without
an alarm, that some change fools behind the repair, and both at once. The alarm's threshold comes
from the validation images.
"""

import argparse

import numpy as np
import torch
from torch import Tensor

from pixguard.config import DatasetRequest
from pixguard.defences.alarm import alarm_threshold
from pixguard.defences.denoisers.repair import Repair
from pixguard.models.inputs import to_unit_range
from pixguard.runner.session import Session
from pixguard.runner.subject import open_subject

CHUNK = 512


def candidates(image: Tensor, step: int) -> Tensor:
    """Return all changes (N, 1, H, W) of one pixel of an image (1, 1, H, W)."""
    height, width = image.shape[-2:]
    levels = torch.tensor([*range(0, 255, step), 255]) / 255
    changed = image.repeat(height * width * len(levels), 1, 1, 1).flatten(1)
    places = torch.arange(height * width).repeat(len(levels))
    changed[torch.arange(len(changed)), places] = levels.repeat_interleave(height * width)
    return changed.view(-1, 1, height, width)


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database")
    parser.add_argument("dataset")
    parser.add_argument("--model", default="latest")
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--step", type=int, default=16)
    parser.add_argument("--false-alarms", type=float, default=0.01)
    asked = parser.parse_args()
    session = Session.of(asked.database, device="cpu")
    subject = open_subject(session, DatasetRequest(asked.dataset), asked.model)
    dataset, classifier, cpu = subject.dataset, subject.classifier, session.device
    repair = Repair(dataset.info.channels).eval()
    validation = dataset.images(dataset.indices("val"))
    threshold = alarm_threshold(repair.highest, validation, asked.false_alarms, cpu)
    rng = np.random.default_rng(0)
    fooled = dict.fromkeys(("bare", "no alarm", "repaired", "repaired, no alarm"), 0)
    count = 0
    with torch.inference_mode():
        for index in rng.permutation(dataset.indices("test")):
            image = to_unit_range(dataset.images([int(index)]), cpu)
            (label,) = dataset.label_set(int(index))
            if any(classifier(x).argmax() != label for x in (image, repair(image))):
                continue
            count += 1
            found = set[str]()
            for part in candidates(image, asked.step).split(CHUNK):
                silent = repair.highest(part) <= threshold
                for name, seen in (("bare", part), ("repaired", repair(part))):
                    wrong = classifier(seen).argmax(dim=1) != label
                    found |= {name} if wrong.any() else set()
                    quiet = "no alarm" if name == "bare" else f"{name}, no alarm"
                    found |= {quiet} if (wrong & silent).any() else set()
            for name in found:
                fooled[name] += 1
            if count == asked.images:
                break
    for name, images in fooled.items():
        print(f"fooled, {name}: {images} of {count}")


if __name__ == "__main__":
    main()
