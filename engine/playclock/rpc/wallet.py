"""WalletService: messages to the engine and back."""

from typing import Final

from playclock.core import wallet as core
from playclock.core.wallet import Bet, BetState, Result
from playclock.engine import Engine
from playclock.engine.bets import Wanted
from playclock.rpc.call import Call
from playclock.rpc.messages import timestamp
from playclock.v1 import wallet_service_pb2 as pb

_STATES: Final = {
    BetState.PENDING: pb.Bet.STATE_PENDING,
    BetState.ACCEPTED: pb.Bet.STATE_ACCEPTED,
    BetState.REFUSED: pb.Bet.STATE_REFUSED,
    BetState.ROLLING_BACK: pb.Bet.STATE_ROLLING_BACK,
    BetState.ROLLED_BACK: pb.Bet.STATE_ROLLED_BACK,
}
_RESULTS: Final = {
    Result.ACCEPTED: pb.MakeBetResponse.RESULT_ACCEPTED,
    Result.INSUFFICIENT_FUNDS: pb.MakeBetResponse.RESULT_INSUFFICIENT_FUNDS,
    Result.REFUSED: pb.MakeBetResponse.RESULT_REFUSED,
    Result.ROLLED_BACK: pb.MakeBetResponse.RESULT_ROLLED_BACK,
    None: pb.MakeBetResponse.RESULT_UNSPECIFIED,
}


class WalletServicer:
    """Translates for game servers and operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def GetBalance(self, request: pb.GetBalanceRequest, call: Call) -> pb.GetBalanceResponse:
        """Tell what the player has."""
        micros, currency = await self._engine.wallet.balance(call.caller, request.game_session_id)
        return pb.GetBalanceResponse(balance_micros=micros, currency=currency)

    async def MakeBet(self, request: pb.MakeBetRequest, call: Call) -> pb.MakeBetResponse:
        """Make a bet."""
        wanted = Wanted(
            session_id=request.game_session_id,
            transaction_id=request.transaction_id,
            round_id=request.round_id,
            bet_micros=request.bet_micros,
            win_micros=request.win_micros,
        )
        bet = await self._engine.wallet.make(call.caller, wanted)
        result = _RESULTS[core.result_of(bet)]
        return pb.MakeBetResponse(result=result, balance_micros=bet.balance_micros, bet=_message(bet))

    async def RollbackBet(self, request: pb.RollbackBetRequest, call: Call) -> pb.RollbackBetResponse:
        """Take a bet back."""
        bet = await self._engine.wallet.roll_back(call.caller, request.game_session_id, request.transaction_id)
        return pb.RollbackBetResponse(bet=_message(bet))

    async def GetBet(self, request: pb.GetBetRequest, call: Call) -> pb.GetBetResponse:
        """Show a bet."""
        bet = await self._engine.wallet.get(call.caller, request.game_session_id, request.transaction_id)
        return pb.GetBetResponse(bet=_message(bet))

    async def ListBets(self, request: pb.ListBetsRequest, call: Call) -> pb.ListBetsResponse:
        """List a session's bets."""
        bets, next_page_token = await self._engine.wallet.list(
            call.caller, request.game_session_id, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListBetsResponse(bets=map(_message, bets), next_page_token=next_page_token)


def _message(bet: Bet) -> pb.Bet:
    return pb.Bet(
        game_session_id=bet.session_id,
        transaction_id=bet.transaction_id,
        agent_transaction_id=bet.id,
        round_id=bet.round_id,
        bet_micros=bet.bet_micros,
        win_micros=bet.win_micros,
        currency=bet.purse.currency,
        state=_STATES[bet.state],
        agent_error=bet.agent_error,
        create_time=timestamp(bet.made_ms),
        close_time=None if bet.closed_ms is None else timestamp(bet.closed_ms),
        rollback_attempts=bet.attempts,
    )
