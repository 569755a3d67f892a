"""Alembic's entry point: runs the migrations on the connection that pixguard hands over.

The caller (:mod:`pixguard.store.schema`) owns the transaction and the foreign keys; there is no
alembic.ini. To draft a migration after a change of ``pixguard/store/tables/``::

    from alembic import command
    from pixguard.store import engine, schema

    connection = engine.open_engine("scratch.db", create=True).connect()
    config = schema.alembic_config(connection)
    command.revision(config, "what changes", rev_id="0002", autogenerate=True)

Revisions are numbered: that is how an older pixguard recognises a newer database.
"""

from alembic import context

from pixguard.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
