"""Which kernels a step of the delta evaluator spends its time in."""

from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.contenders import make_evaluator
from benchmarks.subjects import Subject
from benchmarks.timing import random_candidates, seconds_of
from pixguard.models.inputs import to_unit_range

STEPS, SHOWN = 3, 12

COLUMNS = {"kernel": "kernel", "calls": "calls a step", "ms": "ms a step", "share": "share"}


def kernels(subject: Subject, batch: int) -> list[dict[str, Any]]:
    """Return what takes the most time in a batch of candidates, the largest first."""
    evaluator = make_evaluator(subject, "delta", "auto", batch, [])
    count, height, width, channels = subject.images.shape
    evaluator.allocate(count, height, width, 1)
    for slot, image in enumerate(to_unit_range(subject.images, subject.device)):
        evaluator.load(slot, image)
    shape = (height, width, channels)
    candidates = random_candidates(batch, count, shape, 1, subject.device)
    seconds_of(evaluator, candidates, subject.device)  # warms up
    is_gpu = subject.device.type == "cuda"
    watched = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_gpu else [])]
    with profile(activities=watched) as found:
        for _ in range(STEPS):
            seconds_of(evaluator, candidates, subject.device)
    spent = {
        event.key: (
            event.count,
            event.self_device_time_total if is_gpu else event.self_cpu_time_total,
        )
        for event in found.key_averages()
    }
    whole = sum(microseconds for _, microseconds in spent.values()) or 1.0
    most = sorted(spent.items(), key=lambda one: -one[1][1])[:SHOWN]
    return [
        {
            "kernel": name[:60],
            "calls": calls / STEPS,
            "ms": microseconds / STEPS / 1000,
            "share": microseconds / whole,
        }
        for name, (calls, microseconds) in most
    ]
