"""Ids, tokens and keys. Every one of them begins with its partition, so that what belongs together commits together.

An id is a UUIDv4 (RFC 9562) whose first two hex digits are the partition; 114 random bits remain. There is one spelling of
each: canonical, lower case, ASCII.
"""

import hashlib
import re
from functools import lru_cache
from typing import Final

SESSION_PREFIX: Final = "gs_"
"""Before a game session's UUID, as the PlayWave document shows it."""
LAUNCH_PREFIX: Final = "ls_"
"""Before a launch's UUID: the launcher's session token."""
PLAYER_TOKEN_PREFIX: Final = "player_"  # noqa: S105 - every token begins with it
"""Before a player's session token, as play.fun shows it."""

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_OTT = re.compile(_UUID, re.ASCII)
_SESSION_ID = re.compile(SESSION_PREFIX + _UUID, re.ASCII)
_LAUNCH_ID = re.compile(LAUNCH_PREFIX + _UUID, re.ASCII)
_PLAYER_TOKEN = re.compile(PLAYER_TOKEN_PREFIX + "[0-9a-f]{64}", re.ASCII)
_MATCH_ID = re.compile("[0-9a-f]{24}", re.ASCII)
_DIGEST = re.compile("[0-9a-f]{32}", re.ASCII)


def partition_of(kind: str, name: str) -> int:
    """Return the partition of something that an operator named: an account, or a cafe without one."""
    return hashlib.sha256(f"{kind}\0{name}".encode()).digest()[0]


def make_uuid(partition: int, random: bytes) -> str:
    """Make a UUIDv4 that lies in the partition, from 16 random bytes, of which 114 bits are used."""
    raw = bytearray(random[:16])
    raw[0] = partition
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its canonical spelling, of any version: foreign ids, such as games', need not be ours."""
    return _OTT.fullmatch(text) is not None


def is_session_id(text: str) -> bool:
    """Whether the text is spelled as a game session's id."""
    return _SESSION_ID.fullmatch(text) is not None


def is_launch_id(text: str) -> bool:
    """Whether the text is spelled as a launcher's session token."""
    return _LAUNCH_ID.fullmatch(text) is not None


def partition_in(text: str) -> int:
    """Return the partition of a well-formed id, prefixed or not."""
    return int(text[3:5] if text[2] == "_" else text[:2], 16)


def session_key(game_session_id: str) -> str:
    """Return the key of a session's record."""
    return f"{game_session_id[3:5]}:session:{game_session_id[3:]}"


def launch_key(launch_id: str) -> str:
    """Return the key of a launch's record."""
    return f"{launch_id[3:5]}:launch:{launch_id[3:]}"


def ott_key(ott: str) -> str:
    """Return the key of an OTT's record. It holds the OTT's hash, so that who reads the store cannot redeem."""
    return f"{ott[:2]}:ott:{_digest('ott', ott)}"


def seat_key(partition: int, cafe_id: str, pc_id: str) -> str:
    """Return the key of the record that says what runs on a PC."""
    return f"{partition:02x}:seat:{_digest('seat', cafe_id, pc_id)}"


def player_seat_key(partition: int, agent_id: int, player_id: str, game_id: str) -> str:
    """Return the key of the record that says what an agent's player runs of one game."""
    return f"{partition:02x}:seat:{_digest('player', str(agent_id), player_id, game_id)}"


def launch_id_of(agent_id: int, player_id: str, agent_session_id: str) -> str:
    """Return the id of the launch that an agent's session is, where the player's launches lie: the same for each request."""
    partition = partition_of("agent", f"{agent_id}/{player_id}")
    random = bytes.fromhex(_digest("agent launch", str(agent_id), player_id, agent_session_id))
    return LAUNCH_PREFIX + make_uuid(partition, random)


def server_key(partition: int, game_id: str, server_id: str) -> str:
    """Return the key of the record that lists a game server's sessions in one partition."""
    return f"{partition:02x}:server:{_digest('server', game_id, server_id)}"


@lru_cache(maxsize=65_536)
def account_key(account_id: str) -> str:
    """Return the key of an account's record."""
    return f"{partition_of('account', account_id):02x}:account:{_digest('account', account_id)}"


def transfer_key(partition: int, transfer_id: str) -> str:
    """Return the key of the record of a top-up that can be taken back."""
    return f"{partition:02x}:topup:{_digest('topup', transfer_id)}"


def two_phase_key(account_id: str, transfer_id: str) -> str:
    """Return the key of a two-phase transfer's record, which lies with its account. Other accounts' ids are other transfers."""
    return f"{partition_of('account', account_id):02x}:transfer:{_digest('transfer', account_id, transfer_id)}"


def transfer_id_of(account_id: str, caller: str, request_id: str) -> str:
    """Return the id of the transfer that a caller's request brings about."""
    return f"topup/{account_id}/{_digest('transfer', caller, request_id)}"


def bet_id_of(game_session_id: str, transaction_id: str) -> str:
    """Return the id by which an agent knows a game's transaction: no other session's has the same."""
    return make_uuid(partition_in(game_session_id), bytes.fromhex(_digest("bet", game_session_id, transaction_id)))


def rollback_id_of(bet_id: str) -> str:
    """Return the id by which an agent knows the rollback of a bet."""
    return make_uuid(partition_in(bet_id), bytes.fromhex(_digest("rollback", bet_id)))


def bet_key(bet_id: str) -> str:
    """Return the key of a bet's record."""
    return f"{bet_id[:2]}:bet:{bet_id}"


def book_key(game_session_id: str) -> str:
    """Return the key of the record that knows of a session's bets."""
    return f"{game_session_id[3:5]}:book:{game_session_id[3:]}"


def bet_page_key(game_session_id: str, page: int) -> str:
    """Return the key of a full page of a session's bets."""
    return f"{game_session_id[3:5]}:betpage:{game_session_id[3:]}/{page}"


def round_key(game_session_id: str, round_id: str) -> str:
    """Return the key of the record of a round."""
    return f"{game_session_id[3:5]}:round:{_digest('round', game_session_id, round_id)}"


def make_match_id(random: bytes) -> str:
    """Make a match's id from at least 12 random bytes: 24 hex digits, the first two of which are its partition."""
    return random[:12].hex()


def match_id_of(caller: str, request_id: str) -> str:
    """Return the id of the match that a caller's request makes: the same for each repeat."""
    return _digest("match", caller, request_id)[:24]


def is_match_id(text: str) -> bool:
    """Whether the text is spelled as a match's id."""
    return _MATCH_ID.fullmatch(text) is not None


def match_key(match_id: str) -> str:
    """Return the key of a match's record."""
    return f"{match_id[:2]}:match:{match_id}"


def delivery_id_of(match_id: str, method: str) -> str:
    """Return the id of the message that tells a match's game server of it: it lies with the match."""
    return make_uuid(int(match_id[:2], 16), bytes.fromhex(_digest("delivery", match_id, method)))


def delivery_key(delivery_id: str) -> str:
    """Return the key of the record of a message to a game's server."""
    return f"{delivery_id[:2]}:delivery:{delivery_id}"


def silenced_key(client_id: str, url: str) -> str:
    """Return the key of the record that says that nothing more is sent to a match client at a URL, which is hashed."""
    digest = _digest("silenced", client_id, url)
    return f"{digest[:2]}:silenced:{digest}"


def payout_key(account_id: str, transfer_id: str) -> str:
    """Return the key of the record of what an account got out of a match's escrow. It lies with the account."""
    return f"{partition_of('account', account_id):02x}:payout:{_digest('payout', account_id, transfer_id)}"


def charge_id_of(ott: str) -> str:
    """Return the id of a partner's charge for the one session that an OTT can become."""
    return "ch_" + make_uuid(partition_in(ott), bytes.fromhex(_digest("charge", ott)))


def nonce_key(launcher_id: str, nonce: str) -> str:
    """Return the key of the record that says that a launcher has used a nonce."""
    digest = _digest("nonce", launcher_id, nonce)
    return f"{digest[:2]}:nonce:{digest}"


def signature_key(signer: str, once: str) -> str:
    """Return the key of the record that says when a signature, or a message's id, was used first."""
    digest = _digest("signature", signer, once)
    return f"{digest[:2]}:signature:{digest}"


def request_id_of(signer: str, once: str) -> str:
    """Return what stands for the request id of a signed call: the same for its repeats, and for no other signature."""
    return "sig_" + _digest("request", signer, once)


def claim_key(caller: str, request_id: str) -> str:
    """Return the key of the record that says with which contents a caller used a request id."""
    digest = _digest("claim", caller, request_id)
    return f"{digest[:2]}:claim:{digest}"


def answer_key(partition: int, caller: str, request_id: str) -> str:
    """Return the key of the record that keeps the first answer to a request id, beside what the request did."""
    return f"{partition:02x}:answer:{_digest('answer', caller, request_id)}"


def limit_key(counted: str) -> str:
    """Return the key of the record that says how much of a limit was used. Whose, an address for instance, is hashed."""
    digest = _digest("limit", counted)
    return f"{digest[:2]}:limit:{digest}"


def player_id_of(identifier: str) -> str:
    """Return the UUID of a player by the canonical spelling of what names the player. It is the same in every store."""
    digest = _digest("player", identifier)
    return make_uuid(int(digest[:2], 16), bytes.fromhex(digest))


def player_key(player_id: str) -> str:
    """Return the key of the record that says that a player is known."""
    return f"{player_id[:2]}:player:{player_id}"


def points_key(game_id: str, player_id: str) -> str:
    """Return the key of the record of a player's points in a game. All of a game's players lie with the game."""
    return f"{game_id[:2]}:points:{game_id}/{player_id}"


def leaders_key(game_id: str, day: int) -> str:
    """Return the key of a game's leaderboard of a day."""
    return f"{game_id[:2]}:leaders:{game_id}/{day}"


def make_player_token(game_id: str, random: bytes) -> str:
    """Make a player's session token, which names its game, from at least 16 random bytes, of which 128 bits are used."""
    return PLAYER_TOKEN_PREFIX + game_id.replace("-", "") + random[:16].hex()


def is_player_token(text: str) -> bool:
    """Whether the text is spelled as a player's session token."""
    return _PLAYER_TOKEN.fullmatch(text) is not None


def game_in(player_token: str) -> str:
    """Return the id of the game that a well-formed session token of a player is for."""
    text = player_token[len(PLAYER_TOKEN_PREFIX) :]
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def player_session_id_of(player_token: str) -> str:
    """Return the id of the session that a player's token stands for: the token's hash, so that who reads it cannot play."""
    return _digest("playersession", player_token)


def is_player_session_id(text: str) -> bool:
    """Whether the text is spelled as the id of a player's session."""
    return _DIGEST.fullmatch(text) is not None


def player_session_key(game_id: str, player_session_id: str) -> str:
    """Return the key of the record of a player's session, which lies with its game."""
    return f"{game_id[:2]}:playersession:{game_id}/{player_session_id}"


def ownership_claim_key(game_id: str, developer_id: str) -> str:
    """Return the key of the record that says how a developer may prove to own a game. It lies with all games' records."""
    return f"00:ownershipclaim:{_digest('ownership claim', game_id, developer_id)}"


def image_key(name: str) -> str:
    """Return the key of the record that says of an image why it is kept. It lies with all games' records."""
    return f"00:image:{name}"


def image_use_key(developer_id: str) -> str:
    """Return the key of the record that counts a developer's images. It lies with theirs."""
    return f"00:imageuse:{developer_id}"


def kind_of(key: str) -> str:
    """Return the kind of the record that lies under a key."""
    return key.split(":", 2)[1]


def id_in(key: str) -> str:
    """Return the id in the key of a record that is named by its id."""
    return key.split(":", 2)[2]


def _digest(*parts: str) -> str:
    """Hash the parts so that no two different lists of parts share a text, and return 32 hex digits."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
