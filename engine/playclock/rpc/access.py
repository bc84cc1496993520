"""Who may call what: one row for each RPC. A method without a row keeps the server from starting."""

import difflib
from collections.abc import Iterable
from typing import Final

from playclock.engine import Role

_GAME, _LAUNCHER, _AGENT, _DEVELOPER = Role.GAME, Role.LAUNCHER, Role.AGENT, Role.DEVELOPER
_MATCH_CLIENT, _OPERATOR, _SERVICE = Role.MATCH_CLIENT, Role.OPERATOR, Role.SERVICE

ACCESS: Final[dict[str, tuple[Role, ...]]] = {
    "AccountService/CreateTransfer": (_OPERATOR, _SERVICE),
    "AccountService/GetAccount": (_OPERATOR, _SERVICE),
    "AccountService/GetTransfer": (_OPERATOR, _SERVICE),
    "AccountService/InquirePrice": (_OPERATOR, _SERVICE),
    "AccountService/ListEntries": (_OPERATOR, _SERVICE),
    "AccountService/PostTransfer": (_OPERATOR, _SERVICE),
    "AccountService/ReverseTopUp": (_OPERATOR, _SERVICE),
    "AccountService/TopUpAccount": (_OPERATOR, _SERVICE),
    "AccountService/VoidTransfer": (_OPERATOR, _SERVICE),
    "AuditService/ListAuditEvents": (_OPERATOR,),
    "AuthService/SignRequest": (_OPERATOR, _SERVICE),
    "AuthService/VerifyCaller": (_GAME, _LAUNCHER, _AGENT, _DEVELOPER, _MATCH_CLIENT, _OPERATOR, _SERVICE),
    "AuthService/VerifyRequest": (_OPERATOR, _SERVICE),
    "CatalogService/BatchGetGames": (_OPERATOR, _SERVICE),
    "CatalogService/CreateGame": (_OPERATOR, _SERVICE),
    "CatalogService/DeleteGame": (_OPERATOR, _SERVICE),
    "CatalogService/GetGame": (_OPERATOR, _SERVICE),
    "CatalogService/ListGames": (_OPERATOR, _SERVICE),
    "CatalogService/UpdateAgentGames": (_OPERATOR, _SERVICE),
    "CatalogService/UpdateGame": (_OPERATOR, _SERVICE),
    "DeliveryService/GetDelivery": (_OPERATOR, _SERVICE),
    "DeliveryService/ListDeliveries": (_OPERATOR, _SERVICE),
    "DeliveryService/ReplayDelivery": (_OPERATOR, _SERVICE),
    "DeliveryService/ResumeDeliveries": (_OPERATOR, _SERVICE),
    "DeveloperGameService/BatchGetGamesByToken": (_OPERATOR, _SERVICE),
    "DeveloperGameService/BatchGetPublicGames": (_OPERATOR, _SERVICE),
    "DeveloperGameService/BeginClaim": (_DEVELOPER, _OPERATOR, _SERVICE),
    "DeveloperGameService/ClaimOwnership": (_DEVELOPER, _OPERATOR, _SERVICE),
    "DeveloperGameService/GetGameByToken": (_OPERATOR, _SERVICE),
    "DeveloperGameService/GetPublicGame": (_OPERATOR, _SERVICE),
    "DeveloperGameService/ListMyGames": (_DEVELOPER, _OPERATOR, _SERVICE),
    "DeveloperGameService/ListPublicGames": (_OPERATOR, _SERVICE),
    "DeveloperGameService/RegisterGame": (_DEVELOPER, _OPERATOR, _SERVICE),
    "DeveloperGameService/ToggleVisibility": (_DEVELOPER, _OPERATOR, _SERVICE),
    "DeveloperGameService/UpdateRegisteredGame": (_DEVELOPER, _OPERATOR, _SERVICE),
    "GameLinkService/CreateDemoLink": (_AGENT, _OPERATOR, _SERVICE),
    "GameLinkService/CreateGameLink": (_AGENT, _OPERATOR, _SERVICE),
    "GameLinkService/ListAgentGames": (_AGENT, _OPERATOR, _SERVICE),
    "GameLinkService/VerifyDemoToken": (_GAME, _OPERATOR, _SERVICE),
    "ImageService/GetImage": (_DEVELOPER, _OPERATOR, _SERVICE),
    "ImageService/PutImage": (_DEVELOPER, _OPERATOR, _SERVICE),
    "KeyService/CreateKey": (_OPERATOR,),
    "KeyService/ExpireKey": (_OPERATOR,),
    "KeyService/ListKeys": (_OPERATOR,),
    "KeyService/ResealKeys": (_OPERATOR,),
    "KeyService/RevokeKey": (_OPERATOR,),
    "KeyService/RotateKey": (_OPERATOR,),
    "KeyService/RotateSigningKey": (_OPERATOR,),
    "LaunchService/EndLaunch": (_LAUNCHER, _OPERATOR, _SERVICE),
    "LaunchService/HeartbeatLaunch": (_LAUNCHER, _OPERATOR, _SERVICE),
    "LaunchService/IssueOtt": (_LAUNCHER, _OPERATOR, _SERVICE),
    "LaunchService/StartLaunch": (_LAUNCHER, _OPERATOR, _SERVICE),
    "LimitService/TakeLimit": (_OPERATOR, _SERVICE),
    "MatchService/CancelMatch": (_OPERATOR, _SERVICE),
    "MatchService/CreateMatch": (_OPERATOR, _SERVICE),
    "MatchService/GetMatch": (_MATCH_CLIENT, _OPERATOR, _SERVICE),
    "MatchService/InspectMatchToken": (_MATCH_CLIENT, _OPERATOR, _SERVICE),
    "MatchService/IssueMatchToken": (_OPERATOR, _SERVICE),
    "MatchService/JoinMatch": (_OPERATOR, _SERVICE),
    "MatchService/LeaveMatch": (_OPERATOR, _SERVICE),
    "MatchService/ListMatches": (_MATCH_CLIENT, _OPERATOR, _SERVICE),
    "MatchService/ReportResult": (_MATCH_CLIENT, _OPERATOR, _SERVICE),
    "MatchService/StartMatch": (_OPERATOR, _SERVICE),
    "MatchService/WatchMatches": (_MATCH_CLIENT, _OPERATOR, _SERVICE),
    "OpenIdService/GetConfiguration": tuple(Role),
    "OpenIdService/GetJwks": tuple(Role),
    "OpenIdService/GetRealm": tuple(Role),
    "OpenIdService/IssueAccessToken": (_MATCH_CLIENT,),
    "PointsService/BatchSavePoints": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/GetLeaderboard": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/GetPoints": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/GetStreak": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/InvalidateSessions": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/IssueSessionToken": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/ListPlayerSessions": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/GetPlayerPoints": (_OPERATOR, _SERVICE),
    "PointsService/GetPlayerStreak": (_OPERATOR, _SERVICE),
    "PointsService/GetSessionState": (_OPERATOR, _SERVICE),
    "PointsService/FlushPoints": (_OPERATOR, _SERVICE),
    "PointsService/CommitPoints": (_OPERATOR, _SERVICE),
    "PointsService/ListRiskySessions": (_DEVELOPER, _OPERATOR, _SERVICE),
    "PointsService/ValidateSessionToken": (_DEVELOPER, _OPERATOR, _SERVICE),
    "ProvisioningService/ApplyProvisioning": (_OPERATOR,),
    "ProvisioningService/GetProvisioning": (_OPERATOR, _SERVICE),
    "SessionService/BatchHeartbeat": (_GAME, _OPERATOR, _SERVICE),
    "SessionService/EndSession": (_GAME, _OPERATOR, _SERVICE),
    "SessionService/EndSessionsOfServer": (_GAME, _OPERATOR, _SERVICE),
    "SessionService/GetSession": (_GAME, _OPERATOR, _SERVICE),
    "SessionService/Heartbeat": (_GAME, _OPERATOR, _SERVICE),
    "SessionService/ListSessions": (_GAME, _OPERATOR, _SERVICE),
    "SessionService/OpenSession": (_GAME, _OPERATOR, _SERVICE),
    "SessionService/TerminateSession": (_OPERATOR, _SERVICE),
    "SessionService/WatchSessions": (_GAME, _OPERATOR, _SERVICE),
    "SettlementService/ExportSettlements": (_GAME, _OPERATOR, _SERVICE),
    "SettlementService/ListSettlements": (_GAME, _OPERATOR, _SERVICE),
    "SettlementService/SummarizeSettlements": (_GAME, _OPERATOR, _SERVICE),
    "WalletService/GetBalance": (_GAME, _OPERATOR, _SERVICE),
    "WalletService/GetBet": (_GAME, _OPERATOR, _SERVICE),
    "WalletService/ListBets": (_GAME, _OPERATOR, _SERVICE),
    "WalletService/MakeBet": (_GAME, _OPERATOR, _SERVICE),
    "WalletService/RollbackBet": (_GAME, _OPERATOR, _SERVICE),
}
"""Who may call each RPC. A service may call those of its rows that its own list allows; what no list may name lacks it."""

OWN: Final = "AuthService/VerifyCaller"
"""What a service may always ask: who it is."""

FOR_SECRETS: Final = frozenset({"OpenIdService/IssueAccessToken"})
"""Calls for which a match client shows its secret. A token does not do: who has stolen one would have tokens for ever."""

FROM_MEMORY: Final = frozenset({"GameLinkService/ListAgentGames"})
"""Reads that are answered without the store. Whether their signature was used before is not looked up either: whoever sends one
again learns what its signer may know."""

_PACKAGE: Final = "/playclock.v1."


class NoRow(Exception):
    """An RPC has no row, or a row no RPC."""


def name_of_rpc(method: str) -> str:
    """Return "SessionService/GetSession" of "/playclock.v1.SessionService/GetSession"."""
    return method.removeprefix(_PACKAGE)


def check_rows(methods: Iterable[str]) -> None:
    """Raise NoRow where the table and what is served are not the same."""
    served = {name_of_rpc(method) for method in methods}
    odd = sorted(served ^ ACCESS.keys())
    if odd:
        raise NoRow(f"the table of who may call what and the RPCs that are served differ in {', '.join(odd)}")


def why_not_for_services(name: str) -> str | None:
    """Say what is wrong with an entry of a service's list: an RPC as the table has it, or "SessionService/*" for all of one."""
    meant = [rpc for rpc in ACCESS if name in (rpc, f"{rpc.partition('/')[0]}/*")]
    if not meant:
        known = [*ACCESS, *dict.fromkeys(f"{rpc.partition('/')[0]}/*" for rpc in ACCESS)]
        near = difflib.get_close_matches(name, known, 1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        return f"there is no RPC {name[:_SHOWN]!r}{hint}: expected SERVICE/METHOD, or SERVICE/* for a whole service"
    for rpc in meant:
        if _SERVICE not in ACCESS[rpc]:
            return f"{rpc} is {'for operators alone' if ACCESS[rpc] == (_OPERATOR,) else 'not for services'}"
    return None


_SHOWN: Final = 80
"""How much of an unknown name is repeated."""
