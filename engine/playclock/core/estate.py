"""The estate: games, cafes, launchers, prices, and who may say that they are who.

Small, read by every call and changed by hand, so each process keeps the whole of it in memory as one `Estate`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeVar

import msgspec

from playclock.core.grants import FailurePolicy
from playclock.core.ids import partition_of
from playclock.core.tariff import Tariff

R = TypeVar("R")

FAILURE_LIMIT_MS: Final = 3_600_000
"""How long a session may go on without its partner's word, where nothing else is said."""
DEADLINE_MS: Final = 1_000
"""How long a partner has to answer, where nothing else is said."""
DEADLINE_MS_MAX: Final = 10_000
"""A game server waits while a partner is asked."""


class Game(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A game. Of its servers' keys only the SHA-256 is kept."""

    id: str
    number: int
    name: str
    brand: str
    image_url: str
    play_url: str
    demo_url: str
    api_key_hashes: tuple[bytes, ...]
    failure_policy: FailurePolicy = FailurePolicy.DENY
    """What becomes of its sessions while the partner that pays for them does not answer."""
    failure_limit_ms: int = FAILURE_LIMIT_MS
    """How long one of its sessions may go on in all without the partner's word."""


class AccountPlan(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """An account as the operator described it; its money is a record of its own."""

    id: str
    currency: str
    opening_balance_micros: int
    debt_limit_micros: int = 0


class Cafe(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A PC cafe: its addresses in CIDR notation, and who pays which price."""

    id: str
    name: str
    networks: tuple[str, ...]
    account_id: str | None
    tariff_id: str | None
    provider_id: str | None = None
    """The partner that pays instead of an account."""

    @property
    def partition(self) -> int:
        """Where everything lies that happens in the cafe: with the account that pays for it."""
        return partition_of("cafe", self.id) if self.account_id is None else partition_of("account", self.account_id)


class Provider(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A partner who says which addresses are its cafes', and whether they can pay."""

    id: str
    target: str
    """Where it listens, HOST:PORT."""
    token: bytes
    is_plaintext: bool
    verifies_addresses: bool
    deadline_ms: int
    """How long to wait for an answer."""
    reserve_ms: int
    """How much to ask for ahead, where a lease is not enough."""


class Launcher(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """An installation of the launcher, and the secrets with which it may sign."""

    id: str
    secrets: tuple[bytes, ...]


class Agent(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A caller of the agent API."""

    id: int
    name: str
    secrets: tuple[bytes, ...]
    """Its API tokens; none where it has none."""
    games: tuple[int, ...]


class Developer(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A caller of the games API."""

    id: str
    secrets: tuple[bytes, ...]


class MatchClient(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A game's client of the match API."""

    id: str
    secrets: tuple[bytes, ...]
    game_id: str
    match_info_url: str


class Service(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """An internal service. Of its bearer tokens only the SHA-256 is kept."""

    id: str
    token_hashes: tuple[bytes, ...]
    certificates: tuple[str, ...]
    """Names in its clients' certificates."""
    allow: tuple[str, ...]
    """What it may call: "SessionService/GetSession", or "SessionService/*" for a whole service."""


Signer = Launcher | Agent | Developer | MatchClient
"""Who has secrets to sign with: several while a key is rotated, the newest first."""

Resource = Game | Tariff | AccountPlan | Cafe | Launcher | Agent | Developer | MatchClient | Provider | Service

KINDS: Mapping[str, type[Resource]] = {
    "game": Game,
    "tariff": Tariff,
    "plan": AccountPlan,
    "cafe": Cafe,
    "launcher": Launcher,
    "agent": Agent,
    "developer": Developer,
    "matchclient": MatchClient,
    "provider": Provider,
    "service": Service,
}
"""The kinds of resources, as their keys name them."""

DIRECTORY_KEY = "00:directory:estate"
"""Where the list of all resources lies. Its version is the estate's revision."""


class Directory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The keys of all resources."""

    keys: tuple[str, ...]


def resource_key(resource: Resource) -> str:
    """Return the key of a resource's record. All of them lie in one partition, so that a change is one commit."""
    kind = next(name for name, known in KINDS.items() if type(resource) is known)
    return f"00:{kind}:{resource.id}"


def hash_key(api_key: str) -> bytes:
    """Return what is kept of an API key or a bearer token. They are random, so a plain SHA-256 gives nothing away."""
    return hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).digest()


class Estate:
    """All resources at one revision, with what every call looks up."""

    def __init__(self, resources: Iterable[Resource] = (), revision: int = 0) -> None:
        self.revision = revision
        self.resources = {resource_key(resource): resource for resource in resources}
        self.games = {game.id: game for game in self._all(Game)}
        self.tariffs = {tariff.id: tariff for tariff in self._all(Tariff)}
        self.plans = {plan.id: plan for plan in self._all(AccountPlan)}
        self.cafes = {cafe.id: cafe for cafe in self._all(Cafe)}
        self.providers = {provider.id: provider for provider in self._all(Provider)}
        self.launchers = {launcher.id: launcher for launcher in self._all(Launcher)}
        self.match_clients = self._all(MatchClient)
        self._secrets = {
            (type(signer), str(signer.id)): signer.secrets for signer in self.resources.values() if isinstance(signer, Signer)
        }
        self.game_of_key = {digest: game.id for game in self.games.values() for digest in game.api_key_hashes}
        self.services = services = self._all(Service)
        self.service_of_token = {digest: service.id for service in services for digest in service.token_hashes}
        self.service_of_certificate = {name: service.id for service in services for name in service.certificates}
        self._allowed = {service.id: frozenset(service.allow) for service in services}
        self._networks: dict[tuple[int, int], dict[int, Cafe]] = {}
        for cafe in self.cafes.values():
            for text in cafe.networks:
                network = ip_network(text)
                slot = self._networks.setdefault((network.version, network.prefixlen), {})
                slot[int(network.network_address)] = cafe
        self._prefixes = sorted(self._networks, key=lambda prefix: -prefix[1])

    def cafe_at(self, address: str) -> Cafe | None:
        """Return the cafe with the narrowest network that holds the address; None where there is none, or no address."""
        parsed = parse_address(address)
        if parsed is None:
            return None
        bits = parsed.max_prefixlen
        for version, length in self._prefixes:
            if version == parsed.version:
                network = int(parsed) >> (bits - length) << (bits - length)
                cafe = self._networks[version, length].get(network)
                if cafe is not None:
                    return cafe
        return None

    def secrets_of(self, kind: type[Signer], signer_id: str) -> tuple[bytes, ...] | None:
        """Return the secrets of a signer, newest first; none for an agent without a token, None for nobody."""
        return self._secrets.get((kind, signer_id))

    def may_call(self, service_id: str, rpc: str) -> bool:
        """Whether a service's list allows an RPC, such as "SessionService/GetSession"."""
        allowed = self._allowed.get(service_id, frozenset())
        return rpc in allowed or f"{rpc.partition('/')[0]}/*" in allowed

    def _all(self, kind: type[R]) -> list[R]:
        return [resource for resource in self.resources.values() if isinstance(resource, kind)]


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address, an IPv4 address in IPv6 clothes as IPv4; None for what is no address."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """Return the network in CIDR notation; None for what is none, or has bits set beyond its prefix."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def problems(estate: Estate) -> dict[str, str]:
    """Return what does not fit together in an estate, as a map from the resource to a sentence. Empty where all does."""
    claimed: dict[object, str] = {}
    found = {owner: sentence for what, owner, sentence in _claims(estate) if claimed.setdefault(what, owner) != owner}
    for cafe in estate.cafes.values():
        problem = _cafe_problem(estate, cafe)
        if problem:
            found[f"cafe/{cafe.id}"] = problem
    for client in estate.match_clients:
        if client.game_id not in estate.games:
            found[f"match_client/{client.id}"] = f"there is no game {client.game_id}"
    return found


def _claims(estate: Estate) -> Iterator[tuple[object, str, str]]:
    """Yield what can be one resource's alone, whose it is, and a sentence for where it is another's too."""
    for game in estate.games.values():
        for digest in game.api_key_hashes:
            yield digest, f"game/{game.id}", "one of its api_keys is another game's too"
        yield game.number or object(), f"game/{game.id}", f"number {game.number} is another game's too"
    for cafe in estate.cafes.values():
        for network in cafe.networks:
            yield network, f"cafe/{cafe.id}", f"the network {network} is another cafe's too"
    for service in estate.services:
        owner = f"service/{service.id}"
        for digest in service.token_hashes:
            yield ("token", digest), owner, "one of its tokens is another service's too"
        for name in service.certificates:
            yield ("certificate", name), owner, f"the certificate {name} is another service's too"


def _cafe_problem(estate: Estate, cafe: Cafe) -> str | None:
    if cafe.provider_id is not None:
        if cafe.account_id is not None or cafe.tariff_id is not None:
            return "who pays is a provider, or an account with a tariff"
        return None if cafe.provider_id in estate.providers else f"there is no provider {cafe.provider_id}"
    if (cafe.account_id is None) != (cafe.tariff_id is None):
        return "account and tariff go together"
    if cafe.account_id is None or cafe.tariff_id is None:
        return None
    plan, tariff = estate.plans.get(cafe.account_id), estate.tariffs.get(cafe.tariff_id)
    if plan is None:
        return f"there is no account {cafe.account_id}"
    if tariff is None:
        return f"there is no tariff {cafe.tariff_id}"
    if plan.currency != tariff.currency:
        return f"account {plan.id} is in {plan.currency}, tariff {tariff.id} in {tariff.currency}"
    return None
