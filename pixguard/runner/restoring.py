"""Lets denoisers restore attacked images and clean ones, and a classifier judge the results."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from torch import Tensor

from pixguard.classifiers.evaluation import canonical_logits
from pixguard.defences.restoring import restore
from pixguard.errors import UsageError
from pixguard.records import NATIVE, RestorationRecord, decode_label_set
from pixguard.runner.applying import Application, Source
from pixguard.runner.denoisers import choose_denoisers, load_denoiser
from pixguard.runner.images import CHUNK
from pixguard.runner.patch_selection import with_patch_select
from pixguard.runner.session import Session
from pixguard.runner.subject import Subject
from pixguard.shards import Shard
from pixguard.store import outcomes, reader
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer
from pixguard.words import shell_word


def require_attempts(engine: Engine, subject: Subject) -> None:
    """Raise if a classifier was never attacked so; attacks without a success are a result.

    Raises:
        UsageError: with the command that attacks it.
    """
    if not reader.attempt_outcomes(engine, subject.model.id, subject.dataset_id):
        at = f" at {NATIVE} size" if subject.option else ""
        raise UsageError(
            f"classifier {subject.model.id} has not been attacked{at} yet",
            f"pixguard attack --dataset {shell_word(subject.dataset.info.name)}{subject.option}",
        )


def apply(
    session: Session,
    subject: Subject,
    selectors: Sequence[str],
    pixels: int | None,
    *,
    patch_select: bool = False,
    shard: str | None = None,
) -> dict[str, Any]:
    """Restore with each denoiser, and let the classifier judge what comes out.

    Restored are the images of successful attempts, which tell how often the true label comes
    back, and once each the clean images of all attempts, which tell how often the denoiser itself
    breaks a right decision. What the database holds already is left out, so a run that was
    interrupted goes on. With ``patch_select`` each denoiser but the identity stands under a patch
    selection, which is a denoiser of its own name. With ``shard``, such as ``3/16``, what is
    restored are the attempts of that part of a plan: of an incomplete plan too, because other
    machines make the rest.

    Returns:
        What ``pixguard denoise apply --json`` prints.

    Raises:
        UsageError: the classifier was never attacked, or there is no such denoiser.
        InterruptedRunError: a stop was requested; the finished restorations are committed.
    """
    config = {"denoisers": list(selectors), "pixels": pixels, "patch_select": patch_select}
    with session.writer(config, seed=0) as writer:
        subject = subject.registered(writer)
        require_attempts(writer.engine, subject)
        of_subject = (writer.engine, subject.model.id, pixels)
        part = None if shard is None else Shard.parse(shard)
        attacked = outcomes.successes(*of_subject, dataset_id=subject.dataset_id, shard=part)
        clean = outcomes.attacked_images(*of_subject, dataset_id=subject.dataset_id, shard=part)
        if not attacked:
            session.display.say("no attempt succeeded: only clean images are restored")
        results = []
        chosen = choose_denoisers(writer, subject, selectors)
        if patch_select:
            chosen = with_patch_select(session, writer, subject, chosen)
        for stored in chosen:
            own, name = _Restoration(session, writer, subject, stored), stored.record.architecture
            found, restored, recovered = own.apply(
                attacked, f"restoring attacked images with {name}", "recovered"
            )
            _, judged, kept = own.apply(clean, f"restoring clean images with {name}", "kept")
            results.append(
                {
                    "id": stored.id,
                    "name": name,
                    "found": found,
                    "restored": restored,
                    "recovered": recovered,
                    "clean_restored": judged,
                    "clean_broken": judged - kept,
                }
            )
    return {
        "run": writer.run_id,
        "dataset": subject.dataset.info.name,
        "classifier": subject.model.id,
        "attacked": len(attacked),
        "clean": len(clean),
        "denoisers": results,
    }


class _Restoration(Application):
    """One denoiser before one classifier."""

    kept = "the finished restorations are committed"

    def __init__(
        self, session: Session, writer: Writer, subject: Subject, stored: StoredModel
    ) -> None:
        present = outcomes.restoration_keys(
            writer.engine, subject.model.id, stored.id, subject.dataset_id
        )
        super().__init__(session, writer, subject.dataset, present)
        self._subject, self._stored = subject, stored
        self._denoiser = load_denoiser(session, stored, subject.dataset.info.channels)

    def run(self, images: Tensor) -> Sequence[Tensor]:
        return list(restore(self._denoiser, images, batch=CHUNK))

    def store(self, source: Source, result: Tensor, elapsed_ms: float) -> bool:
        """Let the classifier judge a restored image (C, H, W); return whether it is right."""
        classifier = self._subject.classifier
        decision = classifier.decide(canonical_logits(classifier, result[None]))[0]
        right = decision.label_set == decode_label_set(source.label_code)
        self.writer.restoration(
            RestorationRecord(
                image_index=source.image_index,
                attempt_id=source.attempt_id,
                predicted=decision.label_set,
                confidence=decision.confidence,
                recovered=right,
                elapsed_ms=elapsed_ms,
            ),
            image_id=source.image_id,
            classifier_id=self._subject.model.id,
            denoiser_id=self._stored.id,
        )
        return right
