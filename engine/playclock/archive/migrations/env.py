"""What Alembic runs: the migrations, within the transaction of the connection that it was handed."""

from alembic import context

from playclock.archive.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="archive_version",
    transactional_ddl=True,
)
context.run_migrations()
