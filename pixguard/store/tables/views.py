"""The views of the schema: what queries share, for users as well.

``SELECT * FROM attempts_that_count`` in any SQL client is what reports count. A view is migrated
like a table: whoever changes one here writes a migration that drops and creates it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event, text

from pixguard.store.tables.base import Base


@dataclass(frozen=True, slots=True)
class View:
    """A view: its name, what it shows, and its query, in SQL that SQLite and PostgreSQL share."""

    name: str
    about: str
    sql: str


VIEWS = (
    View(
        "plan_gaps",
        "The first place of each repeat of a plan at which an attempt is missing: neither made nor "
        "failed. Plans that are finished have none.",
        """SELECT p.plan_id, p.repeat, MIN(p.place) AS place
FROM plan l
JOIN planned_attempt p ON p.plan_id = l.id
WHERE l.finished_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM attempt t WHERE t.attempt_key = p.attempt_key)
  AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.attempt_key = p.attempt_key)
GROUP BY p.plan_id, p.repeat""",
    ),
    View(
        "attempts_out_of_order",
        "Attempts that finished before others that stand before them in their plan. Successes end "
        "early, so these say nothing of a rate. Of an interrupted plan that was not recorded, all.",
        """SELECT t.id AS attempt_id
FROM plan_gaps g
JOIN planned_attempt p ON p.plan_id = g.plan_id AND p.repeat = g.repeat AND p.place > g.place
JOIN attempt t ON t.attempt_key = p.attempt_key
UNION ALL
SELECT t.id AS attempt_id
FROM plan l
JOIN attempt t ON t.model_id = l.model_id AND t.attack_id = l.attack_id AND t.seed = l.seed
WHERE l.planned IS NULL
  AND COALESCE(t.through_model_id, 0) = COALESCE(l.through_model_id, 0)
  AND (t.target IS NULL) = (l.target IS NULL)""",
    ),
    View(
        "sampled_attempts",
        "The attempts that a rate may be taken over: of an incomplete plan its finished beginning "
        "alone, which is an unbiased sample, for the order is drawn at random.",
        """SELECT t.*
FROM attempt t
WHERE t.id NOT IN (SELECT o.attempt_id FROM attempts_out_of_order o)""",
    ),
    View(
        "attempts_that_count",
        "What a success rate is over: non-targeted attempts on the bare classifier, the first "
        "repeat of each, and of an incomplete plan its finished beginning. One attack with one "
        "seed on one classifier has one of them an image.",
        """SELECT
    t.id,
    t.attempt_key,
    t.attack_id,
    t.model_id,
    t.image_id,
    t.run_id,
    t.seed,
    t.success,
    t.predicted_before,
    t.predicted_after,
    t.confidence_before,
    t.confidence_after,
    t.true_confidence_after,
    t.queries,
    t.distinct_queries,
    t.generations,
    t.elapsed_ms,
    t.evaluator,
    t.precision
FROM sampled_attempts t
WHERE t.target IS NULL AND t.through_model_id IS NULL AND t.repeat = 0""",
    ),
    View(
        "attempt_details",
        "Every attempt with its dataset, image, classifier and attack in plain columns; "
        "``through`` is the denoiser that the classifier stood behind, or, after the word "
        "detector, that which a success had not to alarm.",
        """SELECT
    t.id AS attempt_id,
    t.attempt_key,
    d.id AS dataset_id,
    d.name AS dataset,
    d.source,
    d.size,
    i.split,
    i.dataset_index,
    i.label_set,
    m.id AS classifier_id,
    m.architecture AS classifier,
    a.name AS attack,
    a.version AS attack_version,
    a.pixels,
    a.parameters,
    t.seed,
    t.repeat,
    t.target,
    CASE WHEN h.kind = 'detector' THEN 'detector ' ELSE '' END || h.architecture AS through,
    t.success,
    t.predicted_before,
    t.predicted_after,
    t.confidence_before,
    t.confidence_after,
    t.queries,
    t.elapsed_ms
FROM attempt t
JOIN image i ON i.id = t.image_id
JOIN dataset d ON d.id = i.dataset_id
JOIN model m ON m.id = t.model_id
JOIN attack a ON a.id = t.attack_id
LEFT JOIN model h ON h.id = t.through_model_id""",
    ),
    View(
        "newest_metric",
        "The newest version of each metric: of several versions only that one counts.",
        """SELECT k.id, k.name, k.version
FROM metric k
WHERE k.version = (SELECT MAX(n.version) FROM metric n WHERE n.name = k.name)""",
    ),
    View(
        "restoration_scores",
        "Scores as columns, a row a restoration that was scored. An infinite PSNR is NULL, and "
        "``is_identical`` 1: the restored image is the clean one.",
        """SELECT
    r.id AS restoration_id,
    r.attempt_id,
    r.image_id,
    r.classifier_id,
    r.denoiser_id,
    r.recovered,
    MAX(CASE WHEN k.name = 'psnr' THEN s.value END) AS psnr,
    MAX(CASE WHEN k.name = 'ssim' THEN s.value END) AS ssim,
    MAX(CASE WHEN k.name = 'mse' THEN s.value END) AS mse,
    MAX(CASE WHEN k.name = 'gmsd' THEN s.value END) AS gmsd,
    MAX(CASE WHEN k.name = 'fsim' THEN s.value END) AS fsim,
    MAX(CASE WHEN k.name = 'psnr' AND s.value_kind = 'inf' THEN 1 ELSE 0 END) AS is_identical
FROM restoration r
JOIN score s ON s.restoration_id = r.id
JOIN newest_metric k ON k.id = s.metric_id
GROUP BY r.id, r.attempt_id, r.image_id, r.classifier_id, r.denoiser_id, r.recovered""",
    ),
    View(
        "clean_restorations",
        "Clean test images that the classifier gets right, restored: where ``recovered`` is 0 the "
        "denoiser broke a right decision.",
        """SELECT
    r.id,
    i.dataset_id,
    r.image_id,
    r.classifier_id,
    r.denoiser_id,
    r.predicted,
    r.confidence,
    r.recovered,
    r.elapsed_ms
FROM restoration r
JOIN image i ON i.id = r.image_id
JOIN prediction p ON p.model_id = r.classifier_id AND p.image_id = r.image_id
WHERE r.attempt_id IS NULL AND i.split = 'test' AND p.predicted = i.label_set""",
    ),
)
"""In an order in which each may use those before it."""


@event.listens_for(Base.metadata, "after_create")
def _create_views(_metadata: object, connection: Connection, **_options: Any) -> None:
    """Create the views where the tables are made of the models: in tests and benchmarks."""
    for view in VIEWS:
        connection.execute(text(f"CREATE VIEW {view.name} AS\n{view.sql}"))
