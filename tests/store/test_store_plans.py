"""Plans in the database: what stands behind a gap does not count."""

from pixguard.records import FailureRecord, PlannedAttempt, PlanRecord
from store.store_samples import Filled, attempt, open_writer, rows


def test_an_attempt_that_failed_does_not_hold_up_the_rest(filled: Filled) -> None:
    order = [PlannedAttempt(f"key-{place}", place, None, 0) for place in (3, 8, 0, 9, 1, 2)]
    record = PlanRecord(seed=0, target=None, attempts=order, settings={}, command="")
    with open_writer(filled.path) as writer:
        plan = writer.plan(
            record,
            attack_id=filled.attack_id,
            model_id=filled.model_id,
            dataset_id=filled.dataset_id,
        )
        counted = "SELECT attempt_key FROM attempts_that_count ORDER BY id"

        def keys() -> list[str]:
            return [key for (key,) in rows(filled.path, counted)]

        assert keys() == ["key-3"]  # key-8 is missing
        writer.failure(FailureRecord("key-8", "NonFiniteLogits", "nan"))
        writer.close_plan(plan)
        assert keys() == ["key-0", "key-3"]  # now key-9 is
        filled.attempt(writer, attempt("key-9", 0))
        writer.close_plan(plan)
        assert keys() == ["key-0", "key-1", "key-2", "key-3", "key-9"]
