"""The command `playclock` itself: which commands there are, and how a failure that was to be expected is told."""

from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from playclock.archive.errors import ArchiveError
from playclock.cli.failures import Failure, UsageFailure
from playclock.cli.teaching import example
from playclock.cli.version import installed_version
from playclock.errors import EngineError
from playclock.stores.base import StoreError
from playclock.tomlfile import ConfigurationError

COMMANDS: Final = (
    "serve",
    "apply",
    "keys",
    "match-config",
    "games",
    "sessions",
    "matches",
    "deliveries",
    "accounts",
    "settlements",
    "audit",
    "sign",
    "demo",
    "facade",
    "version",
)
"""In the order of `--help`. Each is a module of this package with a command of the same name."""


class CommandGroup(click.Group):
    """Imports a command's module when the command is asked for: `sign` need not wait for gRPC to load."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Return the names in the order of `--help`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click's signature
        """Return the command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command = getattr(import_module(f"playclock.cli.{module}"), module)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; tell what is wrong with files and stores in sentences, not in tracebacks."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise UsageFailure(_listed(error.problems)) from None
        except (EngineError, StoreError, ArchiveError) as error:
            raise Failure(str(error)) from None


@click.command(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example(
        "playclock serve --provision examples/provisioning.toml",
        "playclock demo --url http://127.0.0.1:8080",
    ),
)
@click.version_option(installed_version(), message="%(prog)s %(version)s")
def playclock() -> None:
    """Bill play time in PC cafes: a gRPC session engine with an HTTP facade."""


def _listed(problems: Sequence[str]) -> str:
    """Return one problem as it is, several below a line that counts them."""
    return "\n".join(problems if len(problems) == 1 else [f"{len(problems)} things have to be mended first", *problems])
