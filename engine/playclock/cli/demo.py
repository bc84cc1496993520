"""`playclock demo`: a whole play session over REST, against a running server or one of its own."""

import asyncio
import contextlib
import os
import secrets
from pathlib import Path

import click

from playclock import provisioning
from playclock.cli.failures import UsageFailure
from playclock.cli.options import FILE, json_option, require_http
from playclock.cli.printing import amount
from playclock.cli.rest import RestClient
from playclock.cli.teaching import example
from playclock.cli.telling import Narrator, Recorder, Telling
from playclock.cli.walk import Cast, Walk
from playclock.clock import SystemClock
from playclock.v1.provisioning_service_pb2 import (
    Launcher,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    Tariff,
)
from playclock.v1.session_pb2 import EndReason, Session


@click.command(
    short_help="Play one whole session over REST, step by step.",
    epilog=example("playclock demo", "playclock demo --url http://127.0.0.1:8080"),
)
@click.option("--url", envvar="PLAYCLOCK_URL", show_envvar=True, help="A running server. Without it the demo runs its own.")
@click.option("--provision", type=FILE, help="Play with this file's first game and launcher. Default: the development estate.")
@click.option("--game-id", help="Another game than the file's first.")
@click.option("--game-key", help="That game's API key.")
@click.option("--launcher-id", help="Another launcher than the file's first.")
@click.option("--launcher-secret", envvar="PLAYCLOCK_LAUNCHER_SECRET", show_envvar=True, help="That launcher's secret.")
@json_option
def demo(
    *,
    url: str | None,
    provision: Path | None,
    game_id: str | None,
    game_key: str | None,
    launcher_id: str | None,
    launcher_secret: str | None,
    as_json: bool,
) -> None:
    """Play one whole session over REST and tell each step, with request and answer.

    Without --url the demo serves itself from memory and moves the clock, so that minutes pass at once and a time-out can be
    seen. With --url it plays on a real server: a launch, a session and their ends, on a PC with a name of its own.
    """
    estate = _development_estate() if provision is None else provisioning.load(provision, os.environ).message
    first = _cast(estate)
    cast = Cast(
        game_id=game_id or first.game_id,
        game_key=game_key or first.game_key,
        launcher_id=launcher_id or first.launcher_id,
        launcher_secret=launcher_secret or first.launcher_secret,
        pc_id=first.pc_id,
    )
    telling: Telling = Recorder() if as_json else Narrator()
    asyncio.run(_play_here(estate, cast, telling) if url is None else _play_there(url, cast, telling))


async def _play_there(url: str, cast: Cast, telling: Telling) -> None:
    with contextlib.closing(RestClient(url)) as client:
        walk = Walk(client, cast, SystemClock(), telling)
        launch, session = await _begin(walk)
        await walk.heartbeat("The game server says that the player is there, as it does every two minutes.", session)
        await _finish(walk, session, played_sec=0)
        await walk.end_launch("The launcher says goodbye.", launch)


async def _play_here(estate: Provisioning, cast: Cast, telling: Telling) -> None:
    require_http()
    from playclock.cli.demo_server import serve_demo  # noqa: PLC0415 its packages are an extra

    async with contextlib.AsyncExitStack() as parts:
        server = await parts.enter_async_context(serve_demo(estate))
        client = parts.enter_context(contextlib.closing(RestClient(server.url)))
        walk = Walk(client, cast, server.clock, telling)
        launch, first = await _begin(walk)
        telling.say("two minutes pass")
        server.clock.advance(120)
        await walk.heartbeat("The game server says that the player is there. Two minutes are billed.", first)
        await walk.keep_launch("So does the launcher.", launch)
        telling.say("90 seconds pass")
        server.clock.advance(90)
        await _finish(walk, first, played_sec=210)
        ott = await walk.issue_ott("The player starts again.", launch)
        second = await walk.verify("A second session begins.", ott)
        telling.say("two minutes pass; the game server has crashed, and nobody says that the player is there")
        server.clock.advance(120)
        await walk.keep_launch("Only the launcher is still alive.", launch)
        telling.say("another two minutes and a second pass")
        server.clock.advance(121)
        await walk.heartbeat("Too late: after four minutes of silence the session has ended by itself.", second, status=404)
        await walk.end_launch("The launcher says goodbye.", launch)
        telling.say(f"the first session's bill: {_bill(await server.session(first))}")
        telling.say(f"the second's, whose silence proves nothing: {_bill(await server.session(second))}")


def _bill(session: Session) -> str:
    reason = EndReason.Name(session.end_reason).removeprefix("END_REASON_")
    return f"{session.billed_sec} s are billed at {amount(session.amount_micros)}, ended by {reason}"


async def _begin(walk: Walk) -> tuple[str, str]:
    """Start a launch and a session in it, and return both."""
    launch = await walk.start_launch("A launcher starts. The address it calls from says in which cafe it stands.")
    ott = await walk.issue_ott("The player picks a game: the launcher gets a one-time token and hands it over.", launch)
    session = await walk.verify("The game server redeems the token: the session begins, and so does the clock.", ott)
    await walk.verify_again("Somebody tries the same token again. It was good once.", ott)
    return launch, session


async def _finish(walk: Walk, session: str, *, played_sec: int) -> None:
    await walk.end("The player leaves: the session ends, and its figures are final.", session, played_sec=played_sec)
    await walk.end("The same end once more: refused, with the figures of the first.", session, status=409)


def _cast(estate: Provisioning) -> Cast:
    """Return the first game with a key and the first launcher. Raises UsageFailure where there is none."""
    game = next((game for game in estate.games if game.api_keys), None)
    if game is None or not estate.launchers:
        raise UsageFailure("the demo needs a file with a [[game]] that has api_keys, and a [[launcher]]")
    launcher = estate.launchers[0]
    return Cast(
        game_id=game.id,
        game_key=game.api_keys[0],
        launcher_id=launcher.id,
        launcher_secret=launcher.secret,
        pc_id=f"demo-{secrets.token_hex(3)}",
    )


def _development_estate() -> Provisioning:
    """Return what the demo needs of `examples/provisioning.toml`, which is not installed with the package."""
    return Provisioning(
        games=[ProvisionedGame(id="3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d", name="Champagne Party", api_keys=["dev-game-key"])],
        tariffs=[Tariff(id="standard", currency="GCOIN", unit_sec=60, price_micros=1_000_000)],
        accounts=[ProvisionedAccount(id="cafe-1", currency="GCOIN", opening_balance_micros=500_000_000)],
        cafes=[ProvisionedCafe(id="cafe-1", name="Seoul One", networks=["127.0.0.0/8"], account="cafe-1", tariff="standard")],
        launchers=[Launcher(id="launcher-1", secret="dev-launcher-secret")],  # noqa: S106 for development, and public
    )
