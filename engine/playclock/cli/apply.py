"""`playclock apply`: brings a store, or a running engine, in line with a provisioning file."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import click
import grpc.aio

from playclock import masterkeys, provisioning, settings
from playclock.cli.addresses import ADDRESS
from playclock.cli.applying import apply_file
from playclock.cli.engines import RemoteEngine
from playclock.cli.failures import UsageFailure
from playclock.cli.options import (
    FILE,
    clear_text_option,
    config_option,
    engine_trust_option,
    json_option,
    master_key_option,
    store_option,
    token_option,
    without_password,
)
from playclock.cli.printing import print_json
from playclock.cli.remote import authorization, calling
from playclock.cli.rpc_failures import told_in_sentences
from playclock.cli.teaching import example
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.engine.timekeeper import keep_time
from playclock.masterkeys import MasterKeys, open_sealer
from playclock.provisioning import ProvisioningFile
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.urls import open_store
from playclock.tomltable import Printed
from playclock.v1.provisioning_service_pb2 import ApplyProvisioningResponse


@click.command(
    short_help="Apply a provisioning file to a store or a running engine.",
    epilog=example(
        "playclock apply examples/provisioning.toml --check",
        "playclock apply examples/provisioning.toml --engine 127.0.0.1:50051 --token dev-operator-token",
    ),
)
@click.argument("file", type=FILE)
@store_option
@click.option("--engine", type=ADDRESS, help="A running engine to send it to, instead of writing to a store.")
@engine_trust_option
@clear_text_option
@token_option
@config_option
@master_key_option
@click.option("--check", is_flag=True, help="Only say what would change.")
@json_option
def apply(
    *,
    file: Path,
    store: str,
    engine: RemoteEngine | None,
    token: str | None,
    config: Path | None,
    master_key: Path | Printed | None,
    check: bool,
    as_json: bool,
) -> None:
    """Create and update what the provisioning FILE describes; what it does not name stays.

    Without --engine it writes to the store, whether or not a server runs on it; a running one follows within a second.
    """
    if engine is None and store.startswith("memory:"):
        raise UsageFailure("a memory:// store lives inside its server: name the server by --engine, or a lasting --store")
    rules = settings.load(config, os.environ)
    described = provisioning.load(file, os.environ)
    if engine is None:
        keys = masterkeys.read_keys(master_key or rules.security.master_key, rules.security.old_master_keys)
        applied = asyncio.run(_apply_to_store(described, store, rules.timers, keys, check=check))
    else:
        applied = asyncio.run(_apply_to_engine(described, engine, token, check=check))
    _print(applied, check=check, as_json=as_json)


async def _apply_to_store(
    file: ProvisioningFile, store: str, timers: Timers, keys: MasterKeys, *, check: bool
) -> ApplyProvisioningResponse:
    async with _store_channel(store, timers, keys) as channel:
        return await apply_file(channel, file, check=check)


async def _apply_to_engine(
    file: ProvisioningFile, engine: RemoteEngine, token: str | None, *, check: bool
) -> ApplyProvisioningResponse:
    async with calling(engine) as channel:
        return await apply_file(channel, file, check=check, metadata=authorization(token))


@contextlib.asynccontextmanager
async def _store_channel(url: str, timers: Timers, keys: MasterKeys) -> AsyncIterator[grpc.aio.Channel]:
    """Open an engine on the store that does nothing but what it is asked: it neither sweeps nor passes for a server."""
    store = await open_store(url)
    try:
        with told_in_sentences(without_password(url)):
            sealer = open_sealer(url, keys)
            async with (
                keep_time(store) as clock,
                Engine(store, clock=clock, timers=timers, background=False, sealer=sealer) as engine,
            ):
                yield InProcessChannel(engine, operator=True)
    finally:
        await store.close()


def _print(applied: ApplyProvisioningResponse, *, check: bool, as_json: bool) -> None:
    if as_json:
        changes = {"created": list(applied.created), "updated": list(applied.updated)}
        ended = {"inactive_keys": list(applied.inactive_keys)} if applied.inactive_keys else {}
        print_json({"revision": applied.revision, "check": check, **changes, **ended})
        return
    verbs = ("would create", "would update") if check else ("created", "updated")
    for verb, names in zip(verbs, (applied.created, applied.updated), strict=True):
        for name in names:
            click.echo(f"{verb} {name}")
    for key in applied.inactive_keys:
        click.echo(f"stays ended {key}")
    if not applied.created and not applied.updated:
        click.echo("nothing to change")
