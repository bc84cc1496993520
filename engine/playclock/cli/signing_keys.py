"""`playclock keys rotate-signing`: the successor of the key under which access tokens are signed."""

import asyncio
from collections.abc import Sequence

import click
from google.protobuf.json_format import MessageToDict

from playclock.cli.engines import RemoteEngine
from playclock.cli.options import engine_option, json_option, token_option
from playclock.cli.printing import moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, authorization, calling
from playclock.cli.teaching import example
from playclock.v1.key_service_pb2 import RotateSigningKeyRequest, SigningKey
from playclock.v1.key_service_pb2_grpc import KeyServiceStub


@click.command(name="rotate-signing", epilog=example("playclock keys rotate-signing --token dev-operator-token"))
@click.option("--now", "at_once", is_flag=True, help="Let it sign now, and end all others with every token: for a stolen key.")
@engine_option
@token_option
@json_option
def rotate_signing(*, at_once: bool, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Make the successor of the key that signs access tokens of match clients, and print all keys.

    It is published at once, signs ten minutes later, and the old one is published for an hour after that. While a successor
    waits for its time, a repeat makes no other.
    """

    async def call() -> Sequence[SigningKey]:
        async with calling(engine) as channel:
            request = RotateSigningKeyRequest(at_once=at_once)
            stub = KeyServiceStub(channel)
            return (await stub.RotateSigningKey(request, metadata=authorization(token), timeout=CALL_SEC)).keys

    keys = asyncio.run(call())
    if as_json:
        print_json([MessageToDict(key, preserving_proto_field_name=True) for key in keys])
        return
    rows = [[key.id, moment(key.create_time), moment(key.sign_time), moment(key.expire_time)] for key in keys]
    print_table(("key", "created", "signs from", "ends"), rows)
