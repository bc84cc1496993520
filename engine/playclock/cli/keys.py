"""`playclock keys`: create, list, rotate, expire and revoke the keys by which callers prove who they are."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from google.protobuf.json_format import MessageToDict

from playclock.cli.durations import DURATION
from playclock.cli.engines import RemoteEngine
from playclock.cli.options import operator_options
from playclock.cli.printing import moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, ask, authorization
from playclock.cli.signing_keys import rotate_signing
from playclock.cli.teaching import example
from playclock.v1.key_service_pb2 import (
    CreateKeyRequest,
    ExpireKeyRequest,
    Key,
    ListKeysRequest,
    ResealKeysRequest,
    RevokeKeyRequest,
    RotateKeyRequest,
)
from playclock.v1.key_service_pb2_grpc import KeyServiceStub

if TYPE_CHECKING:
    from playclock.v1.key_service_pb2_grpc import KeyServiceAsyncStub

Command = TypeVar("Command", bound=Callable[..., Any])

GAME: Final = "game/3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
KEY_ID: Final = "key_0123456789abcdef"


@click.group(
    epilog=example(
        f"playclock keys create {GAME} --label 'server 1' --token dev-operator-token",
        f"playclock keys rotate {KEY_ID} --overlap 24h --token dev-operator-token",
        f"playclock keys revoke {KEY_ID} --token dev-operator-token",
    )
)
def keys() -> None:
    """Keep the keys of games, launchers, agents, developers, match clients and services.

    A key is in force on every engine within a second of its creation, and out of force within a second of its revocation. Its
    secret is shown once, when it is created; the id says nothing of it. What was revoked stays so, even if a provisioning file
    still names it.
    """


keys.add_command(rotate_signing)


def _request_id_option(command: Command) -> Command:
    return click.option(
        "--request-id", metavar="TEXT", help="Makes a repeat safe: one with the same id creates no other key. Default: random."
    )(command)


@keys.command(epilog=example(f"playclock keys create {GAME} --label 'server 1' --expires 90d"))
@click.argument("owner", metavar="KIND/ID")
@click.option("--label", default="", metavar="TEXT", help="What the key is for, in your words.")
@click.option("--expires", type=DURATION, help="Let it end by itself, such as 90d or 12h. Default: never.")
@_request_id_option
@operator_options
def create(
    *,
    owner: str,
    label: str,
    expires: int | None,
    request_id: str | None,
    engine: RemoteEngine,
    token: str | None,
    as_json: bool,
) -> None:
    """Create a key for KIND/ID, such as game/ID or launcher/ID, and print its secret, once."""

    async def call(service: "KeyServiceAsyncStub") -> tuple[Key, str]:
        request = CreateKeyRequest(
            owner=owner, label=label, expire_after_sec=expires, request_id=request_id or secrets.token_hex(16)
        )
        answer = await service.CreateKey(request, metadata=authorization(token), timeout=CALL_SEC)
        return answer.key, answer.secret

    key, secret = ask(engine, KeyServiceStub, call)
    _print_new(key, secret, as_json=as_json)


@keys.command(name="list", epilog=example("playclock keys list", f"playclock keys list {GAME} --json"))
@click.argument("owner", metavar="[KIND/ID]", default="")
@click.option("--all", "with_ended", is_flag=True, help="Also those that have expired or were revoked.")
@operator_options
def list_keys(*, owner: str, with_ended: bool, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """List keys, newest first, without their secrets. When one was last used is told to the hour."""

    async def call(service: "KeyServiceAsyncStub") -> list[Key]:
        answer = await service.ListKeys(ListKeysRequest(owner=owner), metadata=authorization(token), timeout=CALL_SEC)
        return [key for key in answer.keys if with_ended or key.state == Key.STATE_ALIVE]

    found = ask(engine, KeyServiceStub, call)
    if as_json:
        print_json([_fields(key) for key in found])
    else:
        print_table(tuple(_COLUMNS), [[cell(key) for cell in _COLUMNS.values()] for key in found])


@keys.command(epilog=example(f"playclock keys rotate {KEY_ID} --overlap 24h"))
@click.argument("key_id", metavar="KEY")
@click.option("--overlap", type=DURATION, help="How long the old key goes on, at most 90d; 0s ends it at once. Default: 24h.")
@click.option("--expires", type=DURATION, help="Let the new one end by itself, such as 90d. Default: never.")
@_request_id_option
@operator_options
def rotate(
    *,
    key_id: str,
    overlap: int | None,
    expires: int | None,
    request_id: str | None,
    engine: RemoteEngine,
    token: str | None,
    as_json: bool,
) -> None:
    """Create KEY's successor and print its secret, once. The old key goes on for the overlap, then it has expired."""

    async def call(service: "KeyServiceAsyncStub") -> tuple[Key, str, Key]:
        request = RotateKeyRequest(
            key_id=key_id, overlap_sec=overlap, expire_after_sec=expires, request_id=request_id or secrets.token_hex(16)
        )
        answer = await service.RotateKey(request, metadata=authorization(token), timeout=CALL_SEC)
        return answer.key, answer.secret, answer.previous

    key, secret, previous = ask(engine, KeyServiceStub, call)
    _print_new(key, secret, as_json=as_json, previous=previous)


@keys.command(epilog=example(f"playclock keys expire {KEY_ID} --in 12h"))
@click.argument("key_id", metavar="KEY")
@click.option("--in", "after", type=DURATION, help="When, such as 12h.")
@click.option("--never", is_flag=True, help="Take its end away.")
@operator_options
def expire(*, key_id: str, after: int | None, never: bool, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Give KEY another end, as long as it is alive."""
    if (after is None) is not never:
        raise click.UsageError("say when it ends: --in TIME, or --never")

    async def call(service: "KeyServiceAsyncStub") -> Key:
        request = ExpireKeyRequest(key_id=key_id, after_sec=after)
        return (await service.ExpireKey(request, metadata=authorization(token), timeout=CALL_SEC)).key

    _print(ask(engine, KeyServiceStub, call), as_json=as_json)


@keys.command(epilog=example(f"playclock keys revoke {KEY_ID}"))
@click.argument("key_id", metavar="KEY")
@operator_options
def revoke(*, key_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """End KEY at once and for good."""

    async def call(service: "KeyServiceAsyncStub") -> Key:
        return (await service.RevokeKey(RevokeKeyRequest(key_id=key_id), metadata=authorization(token), timeout=CALL_SEC)).key

    _print(ask(engine, KeyServiceStub, call), as_json=as_json)


@keys.command(epilog=example("playclock keys reseal"))
@operator_options
def reseal(*, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Encrypt all secrets in the store under the engine's current master key, in one step.

    Afterwards no old master key is needed any more. Give the new one to every engine of the store first.
    """

    async def call(service: "KeyServiceAsyncStub") -> int:
        return (await service.ResealKeys(ResealKeysRequest(), metadata=authorization(token), timeout=CALL_SEC)).resealed

    resealed = ask(engine, KeyServiceStub, call)
    if as_json:
        print_json({"resealed": resealed})
    else:
        click.echo(f"resealed {resealed} secrets" if resealed else "nothing to reseal")


_COLUMNS: Final[dict[str, Callable[[Key], str]]] = {
    "key": lambda key: key.id,
    "owner": lambda key: key.owner,
    "state": lambda key: Key.State.Name(key.state).removeprefix("STATE_"),
    "label": lambda key: key.label,
    "from": lambda key: "file" if key.provisioned else "operator",
    "created": lambda key: moment(key.create_time),
    "ends": lambda key: moment(key.revoke_time if key.HasField("revoke_time") else key.expire_time),
    "last used": lambda key: moment(key.last_used_time),
}


def _print_new(key: Key, secret: str, *, as_json: bool, previous: Key | None = None) -> None:
    if as_json:
        print_json({"key": _fields(key), "secret": secret, **({} if previous is None else {"previous": _fields(previous)})})
        return
    rows = [[name, cell(key)] for name, cell in _COLUMNS.items()]
    rows.append(["secret", secret or "shown when the key was created, and never again"])
    if previous is not None:
        rows.append(["follows", f"{previous.id}, which ends {moment(previous.expire_time)}"])
    print_table(("field", "value"), rows)


def _print(key: Key, *, as_json: bool) -> None:
    if as_json:
        print_json(_fields(key))
    else:
        print_table(("field", "value"), [[name, cell(key)] for name, cell in _COLUMNS.items()])


def _fields(key: Key) -> dict[str, Any]:
    return MessageToDict(key, preserving_proto_field_name=True)
