#!/usr/bin/env python
"""Which of the vulnerable images each attack finds, and with how many queries.

    scripts/bench_found.py --db truth.db --dataset pneumoniamnist --model short --surrogate long

Opens a database in which one-pixel truth is known (``attack --attack exhaustive --by bounds``, or
``certify pixels``), and attacks the images that are vulnerable, and no others: on the robust ones
every attack fails at full cost. Prints, for each attack, how many it finds within 100, 1,000 and
10,000 queries, and its processor seconds; it writes nothing. `pixguard report --table truth` tells
the same of attacks that are in the database.
"""

import argparse
import time
from typing import Any

import torch

import pixguard.attacks
from pixguard.attacks import ATTACKS
from pixguard.cli.common import open_session
from pixguard.config import DatasetRequest
from pixguard.runner.subject import open_subject
from pixguard.store.engine import reading
from pixguard.store.truths import UNKNOWN, VULNERABLE, known_images

WITHIN = (100, 1_000, 10_000)
RUNS: dict[str, dict[str, Any]] = {
    "corner": {},
    "corner grid": {"order": "grid"},
    "jsma": {},
    "spgd": {},
    "spgd projected": {"gradient": "projected"},
    "sigma-zero": {},
    "sparse-aa": {},
    "sparse-rs": {},
    "brusle": {},
    "cma-es": {},
    "differential-evolution": {},
    "random": {},
}
"""Each begins with the attack's name; options beside the budget."""


def budget(attack: str, queries: int) -> dict[str, int]:
    """Return the options that let an attack ask for so many candidates."""
    if attack == "differential-evolution":
        return {"generations": queries // 100 - 1}
    return {} if attack == "jsma" else {"queries": queries}


def main() -> None:
    """Attack, and print a line an attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--db", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--model", default="latest")
    parser.add_argument("--surrogate", help="another classifier, for corner by transfer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--queries", type=int, default=WITHIN[-1], help="budget of each attack")
    parser.add_argument("--only", action="append", choices=RUNS, help="repeat for several")
    given = parser.parse_args()
    torch.set_num_threads(1)
    request = DatasetRequest(given.dataset)
    runs = {name: dict(run) for name, run in RUNS.items() if name in (given.only or RUNS)}
    with open_session(given.db, "cpu", request) as session:
        subject = open_subject(session, request, given.model)
        if given.surrogate:
            other = open_subject(session, request, given.surrogate).classifier
            runs = {"corner transfer": {"order": "transfer", "surrogate": other}, **runs}
        with reading(session.database) as engine, engine.connect() as connection:
            known = [k for k in known_images(connection) if k.classifier_id == subject.model.id]
    fooled = [k.index for k in known if k.verdict == VULNERABLE]
    left = sum(k.verdict == UNKNOWN for k in known)
    print(f"{len(fooled)} of {len(known)} images are vulnerable, {left} open", flush=True)
    images = torch.from_numpy(subject.dataset.images(fooled)).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([subject.dataset.label_set(index)[0] for index in fooled])
    for name, options in runs.items():
        attack = name.partition(" ")[0]
        kind = getattr(pixguard.attacks, ATTACKS[attack].class_name)
        options = {**options, **budget(attack, given.queries)}
        begun = time.process_time()
        result = kind(subject.classifier, seed=given.seed, **options)(images, labels)
        seconds = time.process_time() - begun
        queries = result.queries[result.success]
        counts = [int((queries <= most).sum()) for most in WITHIN if most <= given.queries]
        print(f"{name:24}", *(f"{count:4}" for count in counts), f"{seconds:8.0f} s", flush=True)


if __name__ == "__main__":
    main()
