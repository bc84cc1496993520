"""The estate in force: read at the start, followed as others change it, changed as a whole."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.accounts import why_no_currency
from playclock.core.charge import Account
from playclock.core.codec import Codec, encode
from playclock.core.estate import DIRECTORY_KEY, KINDS, AccountPlan, Directory, Estate, Resource, problems, resource_key
from playclock.core.ids import account_key, kind_of
from playclock.core.ledger import TransferKind, credit_transfer
from playclock.core.outbox import Audit
from playclock.engine.audit import listed
from playclock.engine.callers import OPERATOR, Caller
from playclock.engine.context import Context
from playclock.engine.requests import name_of
from playclock.engine.work import Work
from playclock.errors import BadRequest, TooMuchContention
from playclock.stores.base import ABSENT, UNMOVED, Commit, Event, Put, StoreUnavailable

_DIRECTORIES: Final = Codec(Directory)
_RESOURCES: Final = {kind: Codec(resource) for kind, resource in KINDS.items()}
_PARTITION: Final = 0


class Changes(msgspec.Struct, frozen=True):
    """What an application of resources changed: "kind/id" of each."""

    revision: int
    created: Sequence[str]
    updated: Sequence[str]


class EstateKeeper:
    """Keeps `Context.estate` in step with the store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def refresh(self) -> None:
        """Read the estate anew if anybody has changed it. Raises StoreAway."""
        version, _ = await self._directory()
        if version != self._context.estate.revision:
            self._context.estate = (await self._read())[0]

    async def apply(self, resources: Sequence[Resource], *, validate_only: bool = False, caller: Caller = OPERATOR) -> Changes:
        """Create and update resources, all or nothing, and tell who did. What is not named stays.

        Raises BadRequest where the estate would not fit together, StoreAway, TooMuchContention.
        """
        for _ in range(10):
            current, versions = await self._read()
            wanted = {resource_key(resource): resource for resource in resources}
            created = [key for key in wanted if key not in current.resources]
            updated = [key for key in wanted if key in current.resources and current.resources[key] != wanted[key]]
            estate = Estate({**current.resources, **wanted}.values(), current.revision + 1)
            found = problems(estate)
            plans = [resource for resource in resources if isinstance(resource, AccountPlan)]
            found = found or await self._currency_problems(plans)
            if found:
                raise BadRequest(found)
            if validate_only:
                return Changes(current.revision, _names(created), _names(updated))
            await self._keep_accounts(estate, {plan.id for plan in plans})
            if not (created or updated):
                return Changes(current.revision, _names(created), _names(updated))
            puts = [
                Put(key=key, expect=versions.get(key, ABSENT), data=encode(wanted[key]), due_ms=UNMOVED)
                for key in (*created, *updated)
            ]
            directory = Directory(tuple(estate.resources))
            puts.append(Put(key=DIRECTORY_KEY, expect=current.revision, data=encode(directory), due_ms=UNMOVED))
            changes = Changes(estate.revision, _names(created), _names(updated))
            if (await self._commit(Commit(partition=_PARTITION, puts=puts, events=(self._audit(caller, changes),)))) is None:
                self._context.estate = estate
                return changes
        raise TooMuchContention("others kept changing the estate")

    def _audit(self, caller: Caller, changes: Changes) -> Event:
        now_ms = self._context.clock.now_ms()
        parts = (listed("created", changes.created), listed("updated", changes.updated))
        told = Audit(
            now_ms,
            name_of(caller),
            "ApplyProvisioning",
            f"revision/{changes.revision}",
            "; ".join(part for part in parts if part),
        )
        return Event(data=encode(told), retain_until_ms=now_ms + self._context.timers.tombstone_retention_ms)

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

    async def _directory(self) -> tuple[int, Directory]:
        try:
            (record,) = await self._context.records.store.get([DIRECTORY_KEY])
        except StoreUnavailable as error:
            raise self._context.records.away() from error
        if record is None:
            return ABSENT, Directory(())
        return record.version, _DIRECTORIES.decode(record.data)

    async def _read(self) -> tuple[Estate, dict[str, int]]:
        """Return the estate as the store has it, and the version of each resource."""
        while True:
            revision, directory = await self._directory()
            try:
                records = await self._context.records.store.get(directory.keys)
            except StoreUnavailable as error:
                raise self._context.records.away() from error
            if (await self._directory())[0] != revision:
                continue  # changed in between: what was read belongs to no one revision
            found = {key: record for key, record in zip(directory.keys, records, strict=True) if record is not None}
            resources = [_RESOURCES[kind_of(key)].decode(record.data) for key, record in found.items()]
            return Estate(resources, revision), {key: record.version for key, record in found.items()}

    async def _commit(self, commit: Commit) -> object | None:
        try:
            (conflict,) = await self._context.records.store.commit([commit])
        except StoreUnavailable as error:
            raise self._context.records.away() from error
        return conflict


def _differs(account: Account, plan: AccountPlan) -> bool:
    return (account.currency, account.debt_limit_micros) != (plan.currency, plan.debt_limit_micros)


def _names(keys: Sequence[str]) -> list[str]:
    """Say "account/cafe-1" of "00:plan:cafe-1": as the provisioning file calls it."""
    words = {"plan": "account", "matchclient": "match_client"}
    return [f"{words.get(kind, kind)}/{name}" for _, kind, name in (key.split(":", 2) for key in keys)]
