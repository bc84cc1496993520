"""What every command may need, loaded once. No test imports this: the process does from which commands are forked."""

import pkgutil
from importlib import import_module

import playclock.cli

for module in pkgutil.iter_modules(playclock.cli.__path__):
    import_module(f"playclock.cli.{module.name}")
