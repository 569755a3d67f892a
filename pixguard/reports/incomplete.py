"""What is said under a table or a figure that stands on interrupted or doubtful work."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from pixguard.reports import commands
from pixguard.reports.evidence import Evidence
from pixguard.reports.querying import RowValues, fetch, make_query
from pixguard.reports.report_table import Query
from pixguard.reports.studies import Study

_ATTEMPTS = re.compile(r"\b(attempt|sampled_attempts|attempts_that_count)\b")
_PREDICTIONS = re.compile(r"\bprediction\b")
_RESTORATIONS = re.compile(r"\b(restoration|restoration_scores)\b")


def incomplete_notes(
    evidence: Evidence, studies: Sequence[Study], queries: Iterable[Query]
) -> Iterator[str]:
    """Yield a sentence for each plan that is not finished, with the command that goes on.

    And what was remarked when an attack was made, such as gradients of zero.

    Args:
        evidence: what the database holds.
        studies: what is shown.
        queries: what was asked; only what they read can be incomplete.
    """
    asked = "\n".join(query.sql for query in queries)
    if _ATTEMPTS.search(asked):
        for row in evidence.incomplete:
            if any(_is_of(row, study) for study in studies):
                yield plan_note(row)
        for row in evidence.remarks:
            if any(_is_of(row, study) for study in studies):
                about = f"{row['attack']} on {row['architecture']} #{row['classifier_id']}"
                yield from (f"{about}: {remark}." for remark in json.loads(row["remarks"]))
    shown = {(s.classifier_id, s.dataset_id): s for s in studies}
    if _PREDICTIONS.search(asked):
        for (classifier_id, dataset_id), study in shown.items():
            query = make_query(
                "incomplete_predictions", classifier_id=classifier_id, dataset_id=dataset_id
            )
            (row,) = fetch(evidence.engine, query)
            if 0 < row["judged"] < row["images"]:
                go_on = commands.attack(study.dataset, 1, classifier_id)
                yield (
                    f"Incomplete: {row['judged']} of {row['images']} test images judged "
                    f"({study.dataset}, {study.classifier}). Its accuracy is over these, an "
                    f"unbiased sample drawn at random. Go on: {go_on} --resume"
                )
    if _RESTORATIONS.search(asked):
        for (classifier_id, dataset_id), study in shown.items():
            query = make_query(
                "incomplete_restorations", classifier_id=classifier_id, dataset_id=dataset_id
            )
            query = evidence.selection.applied(query)
            rows = filter(partial(_is_of, study=study), fetch(evidence.engine, query))
            yield from (_restoration_note(study, row) for row in rows)


def plan_note(row: RowValues) -> str:
    """Return the sentence on an attack plan, a row of the query ``plans``."""
    pixels = f"{row['pixels']} pixel{'s' if row['pixels'] > 1 else ''}"
    target = f", target {row['target']}" if row["target"] else ""
    through = f", through {row['through']}" if row["through"] else ""
    what = (
        f"{row['attack']}, {pixels}, seed {row['seed']}{target}{through}, on {row['dataset']}, "
        f"{row['architecture']} #{row['classifier_id']}"
    )
    command = row["command"] or commands.attack(
        row["dataset"], row["pixels"], row["classifier_id"], row["attack"], row["through"]
    )
    if row["planned"] is None:
        return (
            f"Incomplete: {what}, was interrupted before plans were recorded. Its attempts are "
            f"left out, for successes end early; they count once it goes on: {command}"
        )
    failed = f" and {row['failed']} failed" if row["failed"] else ""
    return (
        f"Incomplete: {row['made']} of {row['planned']} planned{failed} ({what}). Rates are over "
        f"the first {row['counted']} of the plan, an unbiased sample: its order is drawn at "
        f"random, and successes end early. Go on: {command}"
    )


def _is_of(row: RowValues, study: Study) -> bool:
    """Whether a row is about what a study shows: its classifier, or the one attack on it."""
    attack = study.attack
    here = (row.get("classifier_id", study.classifier_id), row.get("dataset_id", study.dataset_id))
    return here == (study.classifier_id, study.dataset_id) and (
        attack is None or (row["attack_id"], row["seed"]) == (attack.attack_id, attack.seed)
    )


def _restoration_note(study: Study, row: RowValues) -> str:
    attack = f"{row['attack']} (seed {row['seed']})"
    if row["restored"] < row["fooled"]:
        command = commands.denoise(
            study.dataset, str(row["denoiser_id"]), study.classifier_id, trained=True
        )
        return (
            f"Incomplete: {row['denoiser']} restored {row['restored']} of {row['fooled']} images "
            f"that fooled {study.classifier} by {attack}, a random sample. Go on: {command}"
        )
    return (
        f"Incomplete: {row['scored']} of {row['restored']} images that {row['denoiser']} restored "
        f"after {attack} are scored, a random sample. Go on: "
        f"{commands.score(study.dataset, study.classifier_id)}"
    )
