"""What workers get before their first attempt: the classifier, and how to evaluate candidates."""

import hashlib
import time
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from distributed import wait

from pixguard.config import AttackSettings
from pixguard.inference.choices import Choices
from pixguard.records import DatasetInfo, digest
from pixguard.runner import worker
from pixguard.runner.cluster import GONE, Workers
from pixguard.runner.plan import Plan
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject

LEAST_CANDIDATES = 20_000
"""Planned work of fewer is not worth that workers wait for a measurement."""
PATIENCE_S, LOOK_S = 120.0, 0.5
"""How long they wait for one at most: the classifier has to be unpacked for it."""


class Sender(Protocol):
    """Who sends kits: a :class:`pixguard.runner.dispatch.Dispatch`."""

    session: Session
    subject: Subject
    settings: AttackSettings
    own: DatasetInfo
    workers: Workers
    device: str


def make_kit(sender: Sender, part: Plan) -> worker.Kit:
    """Return what the attempts of a part of a plan need on a worker.

    What is not known of the workers' devices is measured, on one worker of each kind: all of a
    kind evaluate alike. One that comes later, of another kind, takes the usual evaluator.
    """
    kit = known_kit(sender, part)
    left = len(part.todo) * worker.make_search_of(kit).most_queries(*kit.shape)
    if left < LEAST_CANDIDATES or sender.settings.evaluator != "auto":
        return kit
    choices = Choices(sender.session.fastest)
    with suppress(*GONE):  # the scheduler is found again where attempts are sent
        for found in _measured(sender, kit, left):
            for key, choice in found.choices:
                choices.put(key, choice)
            for note in found.notes:
                sender.session.display.say(note)
    return _keyed(replace(kit, choices=choices.plain))


def known_kit(sender: Sender, part: Plan) -> worker.Kit:
    """Return the kit with what is known already: no worker is asked."""
    subject, defence = sender.subject, sender.subject.defence
    surrogate = subject.surrogate
    watch = subject.watch
    asked = watch and watch.asks and watch.asks[0]
    beside = (surrogate and surrogate.stored, watch and watch.stored, asked)
    models = (subject.model, defence and defence.stored, *beside)
    names = {one.record.weights_file for one in models if one} - {""}
    return _keyed(
        worker.Kit(
            key="",
            versions=worker.versions(),
            stored=subject.model,
            own=sender.own,
            attacked=subject.dataset.info,
            shape=subject.dataset.shape(part.attempts[0].image_index),
            defence=defence,
            resized_to=subject.resized_to,
            surrogate=surrogate,
            watch=watch,
            settings=sender.settings,
            attempts=len(part.attempts),
            device=sender.device,
            files={name: (sender.session.weights / name).read_bytes() for name in sorted(names)},
            choices=Choices(sender.session.fastest).plain,
        )
    )


def _keyed(kit: worker.Kit) -> worker.Kit:
    contents = [hashlib.sha256(content).hexdigest() for content in kit.files.values()]
    return replace(kit, key=digest([repr(replace(kit, key="", files={})), *contents]))


def _measured(sender: Sender, kit: worker.Kit, left: int) -> list[worker.Found]:
    """Have one worker of every kind measure, and return what they found."""
    client = sender.workers.client
    places = client.run(worker.place, kit.device, on_error="ignore")
    one_of_each = {place: address for address, place in places.items()}
    futures = [
        client.submit(worker.measure, kit, left // len(places), workers=[address], pure=False)
        for address in one_of_each.values()
    ]
    since_s = time.monotonic()
    while futures and not sender.session.stop.requested and time.monotonic() - since_s < PATIENCE_S:
        with suppress(TimeoutError):
            wait(futures, timeout=LOOK_S)
            break
    client.cancel([future for future in futures if future.status != "finished"])
    return [future.result() for future in futures if future.status == "finished"]
