"""The reference partner as a process of its own that a test can make fail: commands on stdin, answers on stdout, JSON lines.

    {"fault": {"RenewCharge": "late"}}     what happens to calls of a method from now on
    {"top_up": ["seoul", 60000]}           credit a cafe
    {"show": true}                         the charges, and how many calls of each method were handled

Faults: `away` answers UNAVAILABLE and does nothing; `lost` does it and answers UNAVAILABLE, so that it is asked again;
`late` does it and answers after the caller has given up; `slow` does it only after the caller has given up; `faulty` answers
what the protocol does not know.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import grpc
import grpc.aio
import partner_server
from playclock.provider.v1 import CloseChargeResponse, OpenChargeResponse, RenewChargeResponse, VerifyAddressResponse

LATE_SEC = 1.2
FAULTY = {
    "VerifyAddress": VerifyAddressResponse(is_pc_cafe=True, cafe_id="../x", cafe_name="x"),
    "OpenCharge": OpenChargeResponse(granted_ms=-1),
    "RenewCharge": RenewChargeResponse(granted_ms=-1),
    "CloseCharge": CloseChargeResponse(amount_micros=-1, currency="GCOIN"),
}


class Faults(grpc.aio.ServerInterceptor):
    """Spoils calls as it was told to."""

    def __init__(self) -> None:
        self.chosen: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.handled: Counter[str] = Counter()

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wrap the method's own handler."""
        handler = await continuation(handler_call_details)
        name = handler_call_details.method.rpartition("/")[2]

        async def answer(request: Any, context: Any) -> Any:
            self.calls[name] += 1
            fault = self.chosen.get(name, "")
            if fault == "away":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            if fault == "faulty":
                return FAULTY[name]
            if fault == "slow":
                await asyncio.shield(asyncio.ensure_future(self._later(handler, request, context, name)))
            self.handled[name] += 1
            response = await handler.unary_unary(request, context)
            if fault == "lost":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
            if fault == "late":
                await asyncio.sleep(LATE_SEC)
            return response

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )

    async def _later(self, handler: Any, request: Any, context: Any, name: str) -> None:
        await asyncio.sleep(LATE_SEC)
        self.handled[name] += 1
        await handler.unary_unary(request, context)


async def obey(faults: Faults, books: partner_server.Books) -> None:
    """Do what stdin says, and answer each line."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        if "fault" in command:
            faults.chosen = command["fault"]
        if "top_up" in command:
            books.top_up(*command["top_up"])
        state = {"charges": books.charges(), "calls": faults.calls, "handled": faults.handled}
        print(json.dumps(state if "show" in command else {}), flush=True)


async def main() -> None:
    """Serve and obey until stdin ends."""
    options = partner_server.parse()
    books, faults = partner_server.books_of(options), Faults()
    serving = asyncio.ensure_future(
        partner_server.serve(partner_server.PartnerServicer(books), options.listen, options.token, faults)
    )
    await asyncio.sleep(0)
    await obey(faults, books)
    serving.cancel()


if __name__ == "__main__":
    asyncio.run(main())
