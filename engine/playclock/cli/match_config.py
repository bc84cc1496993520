"""`playclock match-config`: the developer-config.json that a match client's developers are given."""

import asyncio
import json
import secrets
from typing import IO, TYPE_CHECKING

import click

from playclock.cli.durations import DURATION
from playclock.cli.engines import RemoteEngine
from playclock.cli.failures import UsageFailure
from playclock.cli.options import engine_option, token_option
from playclock.cli.remote import CALL_SEC, authorization, calling
from playclock.cli.teaching import example
from playclock.v1.key_service_pb2 import CreateKeyRequest
from playclock.v1.key_service_pb2_grpc import KeyServiceStub
from playclock.v1.openid_service_pb2 import GetRealmRequest, GetRealmResponse
from playclock.v1.openid_service_pb2_grpc import OpenIdServiceStub

if TYPE_CHECKING:
    import grpc.aio

_SECRET_MAX = 255


@click.command(
    epilog=example(
        "playclock match-config super-game --token dev-operator-token > developer-config.json",
        "playclock match-config super-game --secret-file secret.txt --token dev-operator-token",
    )
)
@click.argument("client", metavar="CLIENT")
@click.option(
    "--secret-file",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="A secret that the client has already; '-' reads it from stdin. Default: a new key is created.",
)
@click.option("--expires", type=DURATION, help="Let the new key end by itself, such as 90d. Default: never.")
@click.option(
    "--request-id", metavar="TEXT", help="Makes a repeat safe: one with the same id creates no other key. Default: random."
)
@engine_option
@token_option
def match_config(
    *,
    client: str,
    secret_file: IO[str] | None,
    expires: int | None,
    request_id: str | None,
    engine: RemoteEngine,
    token: str | None,
) -> None:
    """Print the developer-config.json of the match client CLIENT: where it gets tokens, and its secret, once.

    A new key of the client is created for it and goes on beside those that it has: see `playclock keys`. The URLs begin with
    base_url of the settings' [openid].
    """
    if secret_file is not None and (expires is not None or request_id is not None):
        raise UsageFailure("--expires and --request-id are of a new key: leave them out, or --secret-file")
    known = None if secret_file is None else _read(secret_file)
    request = CreateKeyRequest(
        owner=f"match_client/{client}",
        label="developer-config.json",
        expire_after_sec=expires,
        request_id=request_id or secrets.token_hex(16),
    )

    async def call() -> tuple[GetRealmResponse, str]:
        async with calling(engine) as channel:
            metadata = authorization(token)
            realm = await OpenIdServiceStub(channel).GetRealm(GetRealmRequest(), metadata=metadata, timeout=CALL_SEC)
            return realm, known or await _create(channel, request, token)

    realm, secret = asyncio.run(call())
    if not secret:
        raise UsageFailure(
            "the key was created before, and its secret is never shown again: revoke it, and use another --request-id"
        )
    authentication = {
        "client_id": client,
        "client_secret": secret,
        "public_key_url": realm.issuer,
        "token_url": realm.token_endpoint,
    }
    click.echo(json.dumps({"okletsplay_url": realm.base_url, "authentication": authentication}, indent=2))


async def _create(channel: "grpc.aio.Channel", request: CreateKeyRequest, token: str | None) -> str:
    answer = await KeyServiceStub(channel).CreateKey(request, metadata=authorization(token), timeout=CALL_SEC)
    return answer.secret


def _read(file: IO[str]) -> str:
    try:
        secret = file.read(_SECRET_MAX + 2).removesuffix("\n").removesuffix("\r")
    except ValueError:
        secret = ""
    if not 0 < len(secret) <= _SECRET_MAX or "\n" in secret:
        raise UsageFailure(f"--secret-file: expected a secret of 1 to {_SECRET_MAX} characters on one line")
    return secret
