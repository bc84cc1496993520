"""What the ledger says of bets: money of an agent's players that went to a game, or came from it."""

from playclock.core.ledger import Leg, Transfer, TransferKind
from playclock.core.wallet import Bet


def bet_transfer(bet: Bet) -> Transfer:
    """Return what the ledger says of an accepted bet: what was staked goes to the game, what was won comes from it."""
    return _transfer(bet, TransferKind.BET, f"bet/{bet.id}", 1, at_ms=bet.accepted_ms or 0, reverses=None)


def rollback_transfer(bet: Bet) -> Transfer:
    """Return what the ledger says of an accepted bet that was taken back."""
    name = f"bet/{bet.id}"
    return _transfer(bet, TransferKind.BET_ROLLBACK, f"{name}/rollback", -1, at_ms=bet.closed_ms or 0, reverses=name)


def _transfer(bet: Bet, kind: TransferKind, transfer_id: str, sign: int, *, at_ms: int, reverses: str | None) -> Transfer:
    agent, game = f"agent/{bet.purse.agent_id}", bet.purse.game_id
    sides = (
        (f"{agent}/{bet.purse.currency}", -bet.bet_micros),
        (f"bets/{game}", bet.bet_micros),
        (f"wins/{game}", -bet.win_micros),
        (f"{agent}/{bet.purse.currency}", bet.win_micros),
    )
    legs = tuple(Leg(account, sign * micros) for account, micros in sides if micros)
    assert sum(leg.amount_micros for leg in legs) == 0, "a transfer's legs sum to zero"
    return Transfer(
        id=transfer_id,
        kind=kind,
        at_ms=at_ms,
        account_id=agent,
        currency=bet.purse.currency,
        legs=legs,
        session_id=bet.session_id,
        reverses=reverses,
    )
