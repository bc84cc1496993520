"""What every command may need, loaded once. No test imports this: the process does from which commands are forked."""

import pkgutil
from importlib import import_module

import playclock

_LEFT_OUT = (
    "playclock.archive.migrations",
    "playclock.testing",
    "playclock.pytest_plugin",
    "playclock.v1",
    "playclock.provider",
)
"""What Alembic runs, what tests load, and what the rest has loaded."""

for module in pkgutil.walk_packages(playclock.__path__, "playclock."):
    if not module.name.startswith(_LEFT_OUT):
        import_module(module.name)
# What they load no sooner than they need it, and what becomes of a forked process.
for name in (
    *("uvicorn.lifespan.on", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg", "psycopg"),
    *("encodings.idna", "tests.cli.becoming"),
):
    import_module(name)
