"""The estate: cafes, launchers, prices, and who may say that they are who. Games are described together with it.

Small, read by every call and changed by hand, so each process keeps the whole of it in memory as one `Estate`.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from playclock.core.catalog import Game
from playclock.core.credentials import Credential, Named, digest_of, is_alive, newest_first
from playclock.core.ids import partition_of
from playclock.core.signing_keys import SigningKey, SigningKeys, keys_in
from playclock.core.tariff import Tariff

R = TypeVar("R")

DEADLINE_MS: Final = 1_000
"""How long a partner has to answer, where nothing else is said."""
DEADLINE_MS_MAX: Final = 10_000
"""A game server waits while a partner is asked."""


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
    sealed_by: str = ""
    """Id of the master key under which the token lies in the store; empty where it lies there as it is."""


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
    callback_url: str = ""
    """Where it keeps its players' money; empty where it keeps none for us."""


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
    launch_url: str = ""
    """Where players are led, as `playclock.core.launch_url` reads it; empty where they come by themselves."""
    retries_pushes: bool = False
    """Whether its server is told of a match again where it does not answer; else a match that it is not told of is aborted."""


class Service(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """An internal service. Of its tokens only the SHA-256 is kept; each becomes a credential when the service is applied."""

    id: str
    token_hashes: tuple[bytes, ...]
    certificates: tuple[str, ...]
    """Names in its clients' certificates."""
    allow: tuple[str, ...]
    """What it may call: "SessionService/GetSession", or "SessionService/*" for a whole service."""


Signer = Launcher | Agent | Developer | MatchClient
"""Who has secrets to sign with. `secrets` is what a file says; each becomes a credential when it is applied."""

Resource = (
    Game
    | Tariff
    | AccountPlan
    | Cafe
    | Launcher
    | Agent
    | Developer
    | MatchClient
    | Provider
    | Service
    | Credential
    | SigningKeys
)

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
    "credential": Credential,
    "signingkeys": SigningKeys,
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


hash_key = digest_of
"""Returns what is kept of an API key or a bearer token."""

OWNERS: Mapping[str, type[Resource]] = {
    "game": Game,
    "service": Service,
    "launcher": Launcher,
    "agent": Agent,
    "developer": Developer,
    "match_client": MatchClient,
}
"""Who may hold credentials, as a provisioning file calls them."""
_PLURALS: Final = {"game": "api_keys", "service": "tokens"}
_WORDS: Final = {kind: word for word, kind in OWNERS.items()}


def owner_of(kind: type[Resource], resource_id: str | int) -> str:
    """Return how credentials name their owner: "game/ID"."""
    return f"{_WORDS[kind]}/{resource_id}"


def is_owner(resource: Resource) -> bool:
    """Whether a resource may hold credentials."""
    return type(resource) in _WORDS


def named_by(resource: Resource) -> Iterator[Named]:
    """Yield the credentials that a resource names."""
    if isinstance(resource, Game):
        owner = owner_of(Game, resource.id)
        yield from (Named(owner, digest=digest) for digest in resource.api_key_hashes)
    elif isinstance(resource, Service):
        owner = owner_of(Service, resource.id)
        yield from (Named(owner, digest=digest) for digest in resource.token_hashes)
    elif isinstance(resource, Signer):
        owner = owner_of(type(resource), resource.id)
        yield from (Named(owner, secret=secret) for secret in resource.secrets)


def without_credentials(resource: R) -> R:
    """Return the resource as it lies in the store: its credentials are records of their own."""
    if isinstance(resource, Game):
        return replace(resource, api_key_hashes=()) if resource.api_key_hashes else resource
    if isinstance(resource, Service):
        return replace(resource, token_hashes=()) if resource.token_hashes else resource
    if isinstance(resource, Signer):
        return replace(resource, secrets=()) if resource.secrets else resource
    return resource


class Estate:
    """All resources at one revision, with what every call looks up. Games are only among them as an older version left them."""

    def __init__(self, resources: Iterable[Resource] = (), revision: int = 0) -> None:
        self.revision = revision
        self.resources = {resource_key(resource): resource for resource in resources}
        self.tariffs = {tariff.id: tariff for tariff in self._all(Tariff)}
        self.plans = {plan.id: plan for plan in self._all(AccountPlan)}
        self.cafes = {cafe.id: cafe for cafe in self._all(Cafe)}
        self.providers = {provider.id: provider for provider in self._all(Provider)}
        self.launchers = {launcher.id: launcher for launcher in self._all(Launcher)}
        self.match_clients = {client.id: client for client in self._all(MatchClient)}
        self.agents = {agent.id: agent for agent in self._all(Agent)}
        self.signing_keys: tuple[SigningKey, ...] = tuple(key for keys in self._all(SigningKeys) for key in keys_in(keys))
        self.credentials = {credential.id: credential for credential in self._all(Credential)}
        held: dict[str, list[Credential]] = {
            owner_of(type(each), each.id): [] for each in self.resources.values() if is_owner(each)
        }
        for credential in self.all_credentials():
            held.setdefault(credential.owner, []).append(credential)
        self._held = {owner: newest_first(credentials) for owner, credentials in held.items()}
        self._by_digest = {
            (credential.owner.partition("/")[0], credential.digest): credential
            for credentials in self._held.values()
            for credential in credentials
            if credential.digest and credential.revoked_ms is None
        }
        self.services = services = self._all(Service)
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

    def credential_of(self, kind: str, secret: str, now_ms: int) -> Credential | None:
        """Return the credential that a game's API key or a service's bearer token is, if it is alive.

        It is looked up by its hash, so that how long it takes says nothing about how nearly right a guess was.
        """
        credential = self._by_digest.get((kind, digest_of(secret)))
        return credential if credential is not None and is_alive(credential, now_ms) else None

    def held_by(self, owner: str) -> tuple[Credential, ...] | None:
        """Return all credentials of an owner, "game/ID", newest first, ended ones too; None for nobody."""
        return self._held.get(owner)

    def signing_as(self, kind: type[Signer], signer_id: str, now_ms: int) -> tuple[Credential, ...] | None:
        """Return a signer's credentials that are alive, newest first; none for an agent without a token, None for nobody."""
        held = self._held.get(owner_of(kind, signer_id))
        return None if held is None else tuple(credential for credential in held if is_alive(credential, now_ms))

    def all_credentials(self) -> Iterator[Credential]:
        """Yield all credentials, also those that resources still name themselves, as an older version wrote them."""
        yield from self.credentials.values()
        for resource in self.resources.values():
            for named in named_by(resource):
                yield Credential(
                    id="", owner=named.owner, created_ms=0, digest=named.digest, secret=named.secret, is_provisioned=True
                )

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


def problems(estate: Estate, games: Container[str]) -> dict[str, str]:
    """Return what does not fit together in an estate, as a map from the resource to a sentence. Empty where all does.

    `games` are the ids of those that there are or were.
    """
    claimed: dict[object, str] = {}
    found = {owner: sentence for what, owner, sentence in _claims(estate) if claimed.setdefault(what, owner) != owner}
    for cafe in estate.cafes.values():
        problem = _cafe_problem(estate, cafe)
        if problem:
            found[f"cafe/{cafe.id}"] = problem
    for client in estate.match_clients.values():
        if client.game_id not in games:
            found[f"match_client/{client.id}"] = f"there is no game {client.game_id}"
    return found


def _claims(estate: Estate) -> Iterator[tuple[object, str, str]]:
    """Yield what can be one resource's alone, whose it is, and a sentence for where it is another's too."""
    for credential in estate.all_credentials():
        if credential.digest:
            kind = credential.owner.partition("/")[0]
            yield (kind, credential.digest), credential.owner, f"one of its {_PLURALS[kind]} is another {kind}'s too"
    for cafe in estate.cafes.values():
        for network in cafe.networks:
            yield network, f"cafe/{cafe.id}", f"the network {network} is another cafe's too"
    for service in estate.services:
        for name in service.certificates:
            yield ("certificate", name), f"service/{service.id}", f"the certificate {name} is another service's too"


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
