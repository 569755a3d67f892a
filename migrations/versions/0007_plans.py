"""Plans: what was planned, in which order; rates over their finished beginning alone.

Also the state of attempts in flight, and names of models.

Revision ID: 0007
Revises: 0006
"""

import json
import shlex
import time

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text()

VIEWS = {
    "plan_gaps": """SELECT p.plan_id, p.repeat, MIN(p.place) AS place
FROM plan l
JOIN planned_attempt p ON p.plan_id = l.id
WHERE l.finished_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM attempt t WHERE t.attempt_key = p.attempt_key)
  AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.attempt_key = p.attempt_key)
GROUP BY p.plan_id, p.repeat""",
    "attempts_out_of_order": """SELECT t.id AS attempt_id
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
    "sampled_attempts": """SELECT t.*
FROM attempt t
WHERE t.id NOT IN (SELECT o.attempt_id FROM attempts_out_of_order o)""",
    "attempts_that_count": """SELECT
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
}
INTERRUPTED = """
SELECT g.model_id, g.attack_id, g.through_model_id, g.seed, g.is_targeted, i.dataset_id,
    r.id AS run_id, r.command, r.config, r.started_ms
FROM (
    SELECT t.model_id, t.attack_id, t.through_model_id, t.seed,
        CASE WHEN t.target IS NULL THEN 0 ELSE 1 END AS is_targeted,
        MAX(t.run_id) AS run_id, MIN(t.image_id) AS image_id
    FROM attempt t
    GROUP BY t.model_id, t.attack_id, t.through_model_id, t.seed,
        CASE WHEN t.target IS NULL THEN 0 ELSE 1 END
) g
JOIN run r ON r.id = g.run_id
JOIN image i ON i.id = g.image_id
WHERE r.status IN ('running', 'interrupted', 'failed')
ORDER BY r.id, g.attack_id
"""


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="RESTRICT")


def _create(table: str, *items: SchemaItem) -> None:
    identity = sa.Column("id", INTEGER, nullable=False)
    primary = sa.PrimaryKeyConstraint("id", name=f"pk_{table}")
    op.create_table(table, identity, *items, primary, sqlite_strict=True)


def upgrade() -> None:
    _create(
        "plan",
        sa.Column("model_id", INTEGER, nullable=False),
        sa.Column("attack_id", INTEGER, nullable=False),
        sa.Column("dataset_id", INTEGER, nullable=False),
        sa.Column("through_model_id", INTEGER, nullable=True),
        sa.Column("run_id", INTEGER, nullable=False),
        sa.Column("seed", INTEGER, nullable=False),
        sa.Column("target", TEXT, nullable=True),
        sa.Column("planned", INTEGER, nullable=True),
        sa.Column("settings", TEXT, nullable=False),
        sa.Column("command", TEXT, nullable=False),
        sa.Column("remarks", TEXT, nullable=False),
        sa.Column("created_ms", INTEGER, nullable=False),
        sa.Column("finished_ms", INTEGER, nullable=True),
        _foreign_key("plan", "model_id", "model"),
        _foreign_key("plan", "attack_id", "attack"),
        _foreign_key("plan", "dataset_id", "dataset"),
        _foreign_key("plan", "through_model_id", "model"),
        _foreign_key("plan", "run_id", "run"),
    )
    for column in ("attack_id", "dataset_id", "through_model_id", "run_id"):
        op.create_index(f"ix_plan_{column}", "plan", [column])
    op.create_index("ix_plan_group", "plan", ["model_id", "attack_id", "seed"])
    _create(
        "planned_attempt",
        sa.Column("plan_id", INTEGER, nullable=False),
        sa.Column("repeat", INTEGER, nullable=False),
        sa.Column("place", INTEGER, nullable=False),
        sa.Column("dataset_index", INTEGER, nullable=False),
        sa.Column("attempt_key", TEXT, nullable=False),
        sa.UniqueConstraint(
            "plan_id", "repeat", "place", name="uq_planned_attempt_plan_id_repeat_place"
        ),
        _foreign_key("planned_attempt", "plan_id", "plan"),
    )
    _create(
        "attempt_state",
        sa.Column("attempt_key", TEXT, nullable=False),
        sa.Column("run_id", INTEGER, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("saved_ms", INTEGER, nullable=False),
        sa.UniqueConstraint("attempt_key", name="uq_attempt_state_attempt_key"),
        _foreign_key("attempt_state", "run_id", "run"),
    )
    op.create_index("ix_attempt_state_run_id", "attempt_state", ["run_id"])
    op.add_column("model", sa.Column("name", TEXT, nullable=True))
    op.execute("DROP VIEW attempts_that_count")
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS\n{query}")
    _mark_interrupted()


def _mark_interrupted() -> None:
    """Insert a plan for every attack whose last run did not finish: no rate is taken over it."""
    connection = op.get_bind()
    plans = sa.table(
        "plan",
        *map(
            sa.column,
            ("model_id", "attack_id", "dataset_id", "through_model_id", "run_id", "seed",
             "target", "settings", "command", "remarks", "created_ms"),
        ),
    )  # fmt: skip
    for row in connection.execute(sa.text(INTERRUPTED)).mappings().all():
        words = shlex.split(row["command"])
        target = json.loads(row["config"]).get("target") or "each"
        values = {
            **{name: row[name] for name in ("model_id", "attack_id", "dataset_id")},
            **{name: row[name] for name in ("through_model_id", "run_id", "seed")},
            "target": str(target) if row["is_targeted"] else None,
            "settings": row["config"],
            "command": shlex.join(words if "--resume" in words else [*words, "--resume"]),
            "remarks": "[]",
            "created_ms": row["started_ms"] or int(time.time() * 1000),
        }
        connection.execute(sa.insert(plans).values(values))
