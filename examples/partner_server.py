"""A partner's charge authority: which addresses are its cafes', and how much time each may still play.

    python examples/partner_server.py --token secret --cafe seoul=203.0.113.0/24=36000

serves playclock.provider.v1 for a cafe at those addresses that has prepaid 36,000 seconds. Point playclock at it:

    [[provider]]
    id = "partner-1"
    target = "127.0.0.1:50061"
    token = "secret"
    plaintext = true
    verify_addresses = true

What makes it safe to be asked twice, late, or out of order is that it keeps totals and never steps: the greatest time that was
ever granted, the greatest that was ever told to be used, and a close that counts once.
"""

import argparse
import asyncio
import hmac
import signal
import sqlite3
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from playclock.provider.v1 import (
    Charge,
    ChargeProviderServiceServicer,
    CloseChargeRequest,
    CloseChargeResponse,
    OpenChargeRequest,
    OpenChargeResponse,
    RenewChargeRequest,
    RenewChargeResponse,
    VerifyAddressRequest,
    VerifyAddressResponse,
    add_ChargeProviderServiceServicer_to_server,
)

CURRENCY = "GCOIN"
MICROS_PER_MINUTE = 1_000_000
FORGOTTEN_MS = 600_000
"""How long after its time is up a charge is kept open of which nobody was heard any more."""

TABLES = """
CREATE TABLE IF NOT EXISTS cafes (id TEXT PRIMARY KEY, network TEXT NOT NULL, credit_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS charges (
  id TEXT PRIMARY KEY, cafe_id TEXT NOT NULL, game_session_id TEXT NOT NULL DEFAULT '',
  granted_ms INTEGER NOT NULL DEFAULT 0, used_ms INTEGER NOT NULL DEFAULT 0, is_closed INTEGER NOT NULL DEFAULT 0,
  heard_ms INTEGER NOT NULL
) STRICT;
"""


class Books:
    """What each cafe has prepaid, and what was granted and used of it. Survives the process where it lies in a file."""

    def __init__(self, file: str = ":memory:") -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + TABLES)

    def add_cafe(self, cafe_id: str, network: str, credit_ms: int) -> None:
        """Add a cafe, unless it is there."""
        self._db.execute("INSERT OR IGNORE INTO cafes VALUES (?, ?, ?)", (cafe_id, str(ip_network(network)), credit_ms))

    def top_up(self, cafe_id: str, ms: int) -> None:
        """Let a cafe play for longer."""
        self._db.execute("UPDATE cafes SET credit_ms = credit_ms + ? WHERE id = ?", (ms, cafe_id))

    def cafe_at(self, address: str) -> str | None:
        """Return the cafe to which an address belongs."""
        for cafe_id, network in self._db.execute("SELECT id, network FROM cafes ORDER BY id"):
            if ip_address(address) in ip_network(network):
                return str(cafe_id)
        return None

    def ask(self, charge: Charge, used_ms: int, wanted_ms: int) -> int:
        """Note what was used, set aside what is wanted as far as there is credit, and return how much is granted in all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            granted_ms, used_ms, is_closed = self._note(charge, used_ms)
            if not is_closed:
                most_ms = max(granted_ms, used_ms) + max(0, self._free_ms(charge.cafe_id))
                granted_ms = max(granted_ms, min(wanted_ms, most_ms))
                self._db.execute("UPDATE charges SET granted_ms = ? WHERE id = ?", (granted_ms, charge.charge_id))
            return used_ms if is_closed else granted_ms
        finally:
            self._db.execute("COMMIT")

    def close(self, charge: Charge, used_ms: int) -> int:
        """Note what was used in all, let go of the rest, and return what it costs in millionths."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            _, used_ms, _ = self._note(charge, used_ms)
            self._db.execute("UPDATE charges SET is_closed = 1 WHERE id = ?", (charge.charge_id,))
            return used_ms * MICROS_PER_MINUTE // 60_000
        finally:
            self._db.execute("COMMIT")

    def charges(self) -> list[dict[str, Any]]:
        """Return all charges."""
        names = ("id", "cafe_id", "game_session_id", "granted_ms", "used_ms", "is_closed")
        rows = self._db.execute(f"SELECT {', '.join(names)} FROM charges ORDER BY id")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _note(self, charge: Charge, used_ms: int) -> tuple[int, int, bool]:
        """Open the charge if it is not known, and note the greatest time that was used; a closed one stays as it is."""
        now_ms = time.time_ns() // 1_000_000
        self._db.execute(
            "INSERT INTO charges (id, cafe_id, heard_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (charge.charge_id, charge.cafe_id, now_ms),
        )
        self._db.execute(
            "UPDATE charges SET used_ms = max(used_ms, ?), heard_ms = ?, game_session_id = ? WHERE id = ? AND NOT is_closed",
            (used_ms, now_ms, charge.game_session_id, charge.charge_id),
        )
        found = self._db.execute("SELECT granted_ms, used_ms, is_closed FROM charges WHERE id = ?", (charge.charge_id,))
        granted_ms, used_ms, is_closed = found.fetchone()
        return granted_ms, used_ms, bool(is_closed)

    def _free_ms(self, cafe_id: str) -> int:
        """Return what a cafe has left. What was granted and not heard of for long is nobody's any more."""
        now_ms = time.time_ns() // 1_000_000
        query = """
            SELECT coalesce((SELECT credit_ms FROM cafes WHERE id = :cafe), 0) - coalesce(sum(
              CASE WHEN is_closed OR heard_ms + max(granted_ms - used_ms, 0) + :forgotten < :now
                   THEN used_ms ELSE max(granted_ms, used_ms) END), 0)
            FROM charges WHERE cafe_id = :cafe
        """
        (free_ms,) = self._db.execute(query, {"cafe": cafe_id, "forgotten": FORGOTTEN_MS, "now": now_ms}).fetchone()
        return int(free_ms)


class PartnerServicer(ChargeProviderServiceServicer):
    """Answers playclock."""

    def __init__(self, books: Books) -> None:
        self.books = books

    async def VerifyAddress(self, request: VerifyAddressRequest, context: Any) -> VerifyAddressResponse:
        """Say whether an address is a cafe's."""
        cafe_id = self.books.cafe_at(request.address)
        return VerifyAddressResponse(is_pc_cafe=cafe_id is not None, cafe_id=cafe_id or "", cafe_name=(cafe_id or "").title())

    async def OpenCharge(self, request: OpenChargeRequest, context: Any) -> OpenChargeResponse:
        """Set time aside."""
        return OpenChargeResponse(granted_ms=self.books.ask(request.charge, 0, request.wanted_ms))

    async def RenewCharge(self, request: RenewChargeRequest, context: Any) -> RenewChargeResponse:
        """Note what was used, and set more aside."""
        return RenewChargeResponse(granted_ms=self.books.ask(request.charge, request.used_ms, request.wanted_ms))

    async def CloseCharge(self, request: CloseChargeRequest, context: Any) -> CloseChargeResponse:
        """Note what was used in all."""
        amount_micros = self.books.close(request.charge, request.used_ms)
        return CloseChargeResponse(amount_micros=amount_micros, currency=CURRENCY)


class OnlyWithToken(grpc.aio.ServerInterceptor):
    """Lets nobody in without the token."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Refuse calls without the token."""
        given = dict(handler_call_details.invocation_metadata).get("authorization", "")
        if hmac.compare_digest(given.encode(), self._expected):
            return await continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(_request: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a token is missing or wrong")


async def serve(servicer: PartnerServicer, listen: str, token: str, *interceptors: grpc.aio.ServerInterceptor) -> None:
    """Serve until SIGTERM, and say where on stdout."""
    server = grpc.aio.server(interceptors=(OnlyWithToken(token), *interceptors))
    add_ChargeProviderServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(listen)
    await server.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(server.stop(1)))
    print(f"ready {listen.rpartition(':')[0]}:{port}", flush=True)
    await server.wait_for_termination()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A partner's charge authority for playclock.")
    parser.add_argument("--listen", default="127.0.0.1:50061", help="HOST:PORT, port 0 for a free one")
    parser.add_argument("--token", required=True, help="what playclock has to send as its bearer token")
    parser.add_argument("--books", type=Path, help="an SQLite file that keeps the books; in memory where it is left out")
    parser.add_argument("--cafe", action="append", default=[], metavar="ID=NETWORK=SECONDS", help="a cafe and its credit")
    return parser.parse_args(arguments)


def books_of(options: argparse.Namespace) -> Books:
    """Return the books that the command line asks for."""
    books = Books(":memory:" if options.books is None else str(options.books))
    for cafe in options.cafe:
        cafe_id, network, seconds = cafe.split("=")
        books.add_cafe(cafe_id, network, int(seconds) * 1000)
    return books


if __name__ == "__main__":
    chosen = parse()
    asyncio.run(serve(PartnerServicer(books_of(chosen)), chosen.listen, chosen.token))
