"""The estate in force: read at the start, followed as others change it, changed as a whole."""

import secrets as randomness
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core import catalog_changes as catalogue
from playclock.core.accounts import why_no_currency
from playclock.core.catalog import Game
from playclock.core.catalog_changes import REVISION_KEY
from playclock.core.charge import Account
from playclock.core.codec import Codec, encode
from playclock.core.credentials import Credential, Reconciled, reconcile
from playclock.core.estate import (
    DIRECTORY_KEY,
    KINDS,
    AccountPlan,
    Directory,
    Estate,
    Provider,
    Resource,
    is_owner,
    named_by,
    owner_of,
    problems,
    resource_key,
    without_credentials,
)
from playclock.core.ids import account_key, kind_of
from playclock.core.ledger import TransferKind, credit_transfer
from playclock.core.outbox import Audit
from playclock.engine.audit import listed
from playclock.engine.callers import OPERATOR, Caller
from playclock.engine.catalog import CatalogKeeper
from playclock.engine.context import Context
from playclock.engine.requests import name_of
from playclock.engine.sealing import Sealer, Secretive
from playclock.engine.work import Work
from playclock.errors import BadRequest, TooMuchContention
from playclock.stores.base import ABSENT, UNMOVED, Commit, Event, Put, Record, StoreUnavailable

ATTEMPTS_MAX: Final = 10
"""How often a change is tried anew before its caller is told that others are in the way."""

_DIRECTORIES: Final = Codec(Directory)
_RESOURCES: Final = {kind: Codec(resource) for kind, resource in KINDS.items()}
_PARTITION: Final = 0


class Changes(msgspec.Struct, frozen=True):
    """What an application of resources changed: "kind/id" of each."""

    revision: int
    created: Sequence[str]
    updated: Sequence[str]
    inactive: Sequence[Credential] = ()
    """Keys that the resources name, and that stay revoked or expired."""


class Edit(msgspec.Struct, frozen=True):
    """A change of the estate, and of games with it: one commit."""

    puts: Sequence[Resource] = ()
    drops: Sequence[Credential] = ()
    told: Sequence[Audit] = ()
    games: catalogue.Edit | None = None


class _Application(msgspec.Struct, frozen=True):
    """What resources change where they are applied."""

    edit: Edit
    created: Sequence[str]
    updated: Sequence[str]
    inactive: Sequence[Credential]


class EstateKeeper:
    """Keeps `Context.estate` in step with the store, and the catalogue that is described together with it."""

    def __init__(self, context: Context, catalog: CatalogKeeper, sealer: Sealer) -> None:
        self._context = context
        self._catalog = catalog
        self._sealer = sealer

    async def open(self) -> None:
        """Read the estate, and write anew what an older version wrote, or what lies there unsealed though it can be sealed.

        Raises SealError where the secrets cannot be read, StoreAway, TooMuchContention.
        """
        await self.refresh()
        estate = self._context.estate
        if self._left_over(estate).puts or _games_in(estate):
            await self.edit(self._left_over)

    async def refresh(self) -> None:
        """Read the estate and the catalogue anew if anybody has changed them. Raises SealError, StoreAway."""
        directory, catalog = await self._get([DIRECTORY_KEY, REVISION_KEY])
        await self._catalog.follow(catalog)  # first, so that no key names a game that is not there yet
        if (ABSENT if directory is None else directory.version) != self._context.estate.revision:
            self._context.estate = (await self._read())[0]

    async def edit(self, decide: Callable[[Estate], Edit]) -> None:
        """Change the estate as `decide` says, who sees it as it is now, and again when others were faster.

        Raises what `decide` raises, SealError, StoreAway, TooMuchContention.
        """
        for _ in range(ATTEMPTS_MAX):
            current, versions = await self._read()
            edit = decide(current)
            if not (edit.puts or edit.drops or edit.games):
                self._context.estate = current
                return
            if await self._commit(current, versions, edit):
                return
        raise TooMuchContention("others kept changing the estate")

    async def reseal(self, told: Callable[[int], Audit]) -> int:
        """Seal all secrets under the current master key, and return how many were not. Raises as `edit` does."""
        resealed = 0

        def decide(estate: Estate) -> Edit:
            nonlocal resealed
            puts = [resource for resource in estate.resources.values() if not self._sealer.is_current(resource)]
            resealed = len(puts)
            return Edit(puts, told=[told(resealed)] if puts else [])

        await self.edit(decide)
        return resealed

    async def apply(self, resources: Sequence[Resource], *, validate_only: bool = False, caller: Caller = OPERATOR) -> Changes:
        """Create and update resources, all or nothing, and tell who did. What is not named stays.

        Raises BadRequest where the estate would not fit together, SealError, StoreAway, TooMuchContention.
        """
        for _ in range(ATTEMPTS_MAX):
            current, versions = await self._read()
            await self._catalog.refresh()
            applied = self._application(current, resources)
            estate = _edited(current, applied.edit)
            found = self._problems(estate, resources)
            plans = [resource for resource in resources if isinstance(resource, AccountPlan)]
            found = found or await self._currency_problems(plans)
            if found:
                raise BadRequest(found)
            changes = Changes(current.revision, _names(applied.created), _names(applied.updated), applied.inactive)
            if validate_only:
                return changes
            await self._keep_accounts(estate, {plan.id for plan in plans})
            if not (applied.created or applied.updated):
                self._context.estate = current
                return changes
            changes = replace(changes, revision=current.revision + 1)
            if await self._commit(current, versions, replace(applied.edit, told=[self._audit(caller, changes)])):
                return changes
        raise TooMuchContention("others kept changing the estate")

    def _audit(self, caller: Caller, changes: Changes) -> Audit:
        parts = (listed("created", changes.created), listed("updated", changes.updated))
        return Audit(
            self._context.clock.now_ms(),
            name_of(caller),
            "ApplyProvisioning",
            f"revision/{changes.revision}",
            "; ".join(part for part in parts if part),
        )

    def _problems(self, estate: Estate, resources: Sequence[Resource]) -> dict[str, str]:
        catalog = self._context.catalog
        games = [catalogue.described(catalog, each) for each in resources if isinstance(each, Game)]
        known = ChainMap({game.id: game for game in games}, catalog.games, catalog.tombstones)
        return problems(estate, known) | catalogue.problems(catalog, games)

    def _application(self, current: Estate, resources: Sequence[Resource]) -> _Application:
        catalog = self._context.catalog
        wanted = {resource_key(resource): without_credentials(resource) for resource in resources}
        known = dict(current.resources)
        for key, each in wanted.items():
            game = catalog.known(each.id) if isinstance(each, Game) else None
            if game is not None:
                known[key] = game
        wanted = {key: catalogue.described(catalog, each) if isinstance(each, Game) else each for key, each in wanted.items()}
        credentials = self._reconciled(current, resources)
        touched = {credential.owner for credential in (*credentials.created, *credentials.dropped)}
        created = [key for key in wanted if key not in known]
        updated = [
            key
            for key, resource in wanted.items()
            if key in known and (_is_other(known[key], resource) or _owner(resource) in touched)
        ]
        changed = [wanted[key] for key in (*created, *updated)]
        games = [each for each in changed if isinstance(each, Game)]
        edit = Edit(
            [*(each for each in changed if not isinstance(each, Game)), *credentials.created],
            credentials.dropped,
            games=catalogue.edit(catalog, games, self._context.clock.now_ms()) if games else None,
        )
        return _Application(edit, created, updated, credentials.inactive)

    def _reconciled(self, current: Estate, resources: Sequence[Resource]) -> Reconciled:
        return reconcile(
            current.credentials.values(),
            [named for resource in resources for named in named_by(resource)],
            [owner for owner in map(_owner, resources) if owner is not None],
            now_ms=self._context.clock.now_ms(),
            new_id=new_credential_id,
        )

    def _left_over(self, estate: Estate) -> Edit:
        """Return what has to be written anew: games that lie in the estate, keys in resources, secrets that are not sealed."""
        naming = [resource for resource in estate.resources.values() if any(named_by(resource))]
        credentials = self._reconciled(estate, naming)
        unsealed = [
            resource
            for resource in estate.resources.values()
            if isinstance(resource, Secretive) and not resource.sealed_by and not self._sealer.is_current(resource)
        ]
        dropped = {credential.id for credential in credentials.dropped}
        kept = [resource for resource in unsealed if resource.id not in dropped]
        games = [without_credentials(game) for game in _games_in(estate)]
        stripped = [without_credentials(each) for each in naming if not isinstance(each, Game)]
        return Edit(
            [*stripped, *credentials.created, *kept],
            credentials.dropped,
            games=catalogue.edit(self._context.catalog, games, self._context.clock.now_ms()) if games else None,
        )

    async def _currency_problems(self, plans: Sequence[AccountPlan]) -> dict[str, str]:
        """Return which of the accounts that are there already cannot be kept in their plan's currency."""
        loaded = await self._context.records.load([account_key(plan.id) for plan in plans], fresh=True)
        found = {}
        for plan, (_, account) in zip(plans, loaded, strict=True):
            problem = None if account is None else why_no_currency(account, plan.currency)
            if problem:
                found[f"account/{plan.id}"] = problem
        return found

    async def _keep_accounts(self, estate: Estate, named: set[str]) -> None:
        """Create the accounts that are not there yet, and let those that were named follow their plan.

        Before the estate says so: none is ever named and missing, and whoever changes the estate last has changed the
        accounts after everybody else. What was cut off in between is made good by the next application.
        """
        plans = list(estate.plans.values())
        found = await self._context.records.load([account_key(plan.id) for plan in plans], fresh=True)
        missing = [self._opening(plan) for plan, (_, account) in zip(plans, found, strict=True) if account is None]
        if missing:
            await self._context.records.commit(missing)
        for plan, (_, account) in zip(plans, found, strict=True):
            if plan.id in named and account is not None and _differs(account, plan):
                await self._follow(plan)

    def _opening(self, plan: AccountPlan) -> Commit:
        """Return what creates an account. Its key must not exist, so that it is credited once however often this runs."""
        key, now_ms = account_key(plan.id), self._context.clock.now_ms()
        account, transfer = credit_transfer(
            Account(plan.id, plan.currency, 0, 0, debt_limit_micros=plan.debt_limit_micros, is_untouched=True),
            plan.opening_balance_micros,
            transfer_id=f"opening/{plan.id}",
            kind=TransferKind.OPENING,
            at_ms=now_ms,
        )
        put = Put(key=key, expect=ABSENT, data=encode(account))
        event = Event(data=encode(transfer), retain_until_ms=now_ms + self._context.timers.tombstone_retention_ms)
        return Commit(partition=int(key[:2], 16), puts=(put,), events=(event,))

    async def _follow(self, plan: AccountPlan) -> None:
        """Give an account the limit and the currency of its plan. What sessions hold already stays theirs."""
        context, key = self._context, account_key(plan.id)

        async def decision(work: Work) -> str | None:
            account = await context.read_account(work, plan.id)
            assert account is not None, "an account is never taken away"
            problem = why_no_currency(account, plan.currency)
            if problem is None:
                work.write(key, replace(account, currency=plan.currency, debt_limit_micros=plan.debt_limit_micros))
            return problem

        problem = await context.turns.decide(int(key[:2], 16), context.clock.now_ms(), decision)
        if problem is not None:
            raise BadRequest({f"account/{plan.id}": problem})  # somebody was faster, and used it

    async def _get(self, keys: Sequence[str]) -> list[Record | None]:
        try:
            return await self._context.records.store.get(keys)
        except StoreUnavailable as error:
            raise self._context.records.away() from error

    async def _directory(self) -> tuple[int, Directory]:
        (record,) = await self._get([DIRECTORY_KEY])
        if record is None:
            return ABSENT, Directory(())
        return record.version, _DIRECTORIES.decode(record.data)

    async def _read(self) -> tuple[Estate, dict[str, int]]:
        """Return the estate as the store has it, and the version of each resource."""
        while True:
            revision, directory = await self._directory()
            records = await self._get(directory.keys)
            if (await self._directory())[0] != revision:
                continue  # changed in between: what was read belongs to no one revision
            found = {key: record for key, record in zip(directory.keys, records, strict=True) if record is not None}
            resources = [
                self._sealer.opened(_as_read(_RESOURCES[kind_of(key)].decode(record.data), record.version))
                for key, record in found.items()
            ]
            return Estate(resources, revision), {key: record.version for key, record in found.items()}

    async def _commit(self, current: Estate, versions: Mapping[str, int], edit: Edit) -> bool:
        """Commit an edit of the estate; False where others were faster. What is told is told with it."""
        context, now_ms = self._context, self._context.clock.now_ms()
        edit = replace(edit, puts=[self._sealer.marked(resource) for resource in edit.puts])
        estate = _edited(current, edit)
        puts = [self._put(versions, resource) for resource in edit.puts]
        if edit.games is not None:
            of_games = await self._catalog.puts(edit.games)
            if of_games is None:
                return False
            puts += of_games
        for credential in edit.drops:
            # Nobody reads it again. What it was is overwritten at once, and the rest goes when the store next collects.
            emptied = replace(credential, digest=b"", secret=b"", sealed_by="")
            puts.append(replace(self._put(versions, emptied), retain_until_ms=now_ms))
        directory = Directory(tuple(estate.resources))
        puts.append(Put(key=DIRECTORY_KEY, expect=current.revision, data=encode(directory), due_ms=UNMOVED))
        retain_until_ms = now_ms + context.timers.tombstone_retention_ms
        events = [Event(data=encode(audit), retain_until_ms=retain_until_ms) for audit in edit.told]
        try:
            (conflict,) = await context.records.store.commit([Commit(partition=_PARTITION, puts=puts, events=events)])
        except StoreUnavailable as error:
            raise context.records.away() from error
        if conflict is not None:
            return False
        if edit.games is not None:
            await self._catalog.committed(edit.games)
        context.estate = estate
        if events:
            for listener in context.turns.listeners:
                listener()
        return True

    def _put(self, versions: Mapping[str, int], resource: Resource) -> Put:
        key = resource_key(resource)
        return Put(key=key, expect=versions.get(key, ABSENT), data=encode(self._sealer.sealed(resource)), due_ms=UNMOVED)


def new_credential_id() -> str:
    """Make an id, from the operating system's randomness. It has nothing of the secret."""
    return f"key_{randomness.token_hex(8)}"


def _edited(current: Estate, edit: Edit) -> Estate:
    resources = dict(current.resources)
    for game in _games_in(current):
        del resources[resource_key(game)]
    for credential in edit.drops:
        del resources[resource_key(credential)]
    resources |= {resource_key(resource): resource for resource in edit.puts}
    return Estate(resources.values(), current.revision + 1)


def _as_read(resource: Resource, version: int) -> Resource:
    return replace(resource, revision=version) if isinstance(resource, Game) else resource


def _games_in(estate: Estate) -> list[Game]:
    """Return the games that lie in the estate, where they lay before there was a catalogue."""
    return [resource for resource in estate.resources.values() if isinstance(resource, Game)]


def _owner(resource: Resource) -> str | None:
    return owner_of(type(resource), resource.id) if is_owner(resource) else None


def _is_other(stored: Resource, wanted: Resource) -> bool:
    """Whether a resource differs from the stored one in more than the master key that sealed it."""
    return (replace(stored, sealed_by="") if isinstance(stored, Provider) else stored) != wanted


def _differs(account: Account, plan: AccountPlan) -> bool:
    return (account.currency, account.debt_limit_micros) != (plan.currency, plan.debt_limit_micros)


def _names(keys: Sequence[str]) -> list[str]:
    """Say "account/cafe-1" of "00:plan:cafe-1": as the provisioning file calls it."""
    words = {"plan": "account", "matchclient": "match_client"}
    return [f"{words.get(kind, kind)}/{name}" for _, kind, name in (key.split(":", 2) for key in keys)]
