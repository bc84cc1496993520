"""`playclock version`."""

import json
import platform
from importlib import metadata
from typing import Final

import click

from playclock.cli.teaching import example

PARTS: Final = ("playclock", "grpcio", "protobuf", "msgspec", "starlette", "uvicorn", "httptools", "uvloop", "redis")
"""The packages on which behaviour and speed hang."""


def installed_version(package: str = "playclock") -> str:
    """Return the version of an installed package, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@click.command(epilog=example("playclock version --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(*, as_json: bool) -> None:
    """Print the versions that a bug report should name."""
    versions = {"python": platform.python_version()} | {part: installed_version(part) for part in PARTS}
    if as_json:
        click.echo(json.dumps(versions))
    else:
        for part, number in versions.items():
            click.echo(f"{part} {number}")
