"""Puts a server together and takes it apart: store, engine, provisioning, gRPC, HTTP, in this order and back."""

import contextlib
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
import playclock_http
from msgspec.structs import replace

from playclock import provisioning
from playclock.archive.errors import ArchiveNotInstalled
from playclock.archive.urls import archive_beside, open_archive
from playclock.blobs.base import BlobsError
from playclock.blobs.urls import blobs_beside
from playclock.callbacks import Poster
from playclock.cli.addresses import Address, bind
from playclock.cli.applying import apply_file
from playclock.cli.certificates import TlsFiles
from playclock.cli.crowd import Crowd
from playclock.cli.failures import Failure
from playclock.cli.http_server import HttpServer
from playclock.cli.options import without_password
from playclock.cli.renewal import ServerIdentity
from playclock.cli.stopping import Stopping, stoppable
from playclock.cli.tuning import settle
from playclock.core.openid import OpenIdRules
from playclock.deliveries import Courier
from playclock.engine import Engine
from playclock.engine.sealing import Sealer
from playclock.engine.timekeeper import keep_time
from playclock.images.opening import ImagesNotInstalled, open_images
from playclock.masterkeys import MasterKeys, open_sealer
from playclock.pages import PageReader
from playclock.rpc.inprocess import InProcessChannel
from playclock.rpc.partner import connect
from playclock.rpc.server import AddressInUse, Server
from playclock.settings import Settings
from playclock.stores.base import Store
from playclock.stores.urls import open_store

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from playclock.archive.archiving import ArchiveOfStore
    from playclock.images.keeper import ImageKeeper

NO_ARCHIVE: Final = "none"
NO_BLOBS: Final = "none"

_log = logging.getLogger(__name__)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    store: str
    archive: str | None
    """None for the one beside the store, `none` for none."""
    blobs: str | None = None
    """The same for what images lie in."""
    http: Address
    grpc: Address
    settings: Settings
    provision: Path | None
    tuned: bool
    master_keys: MasterKeys = MasterKeys()
    """Under which secrets lie in the store."""
    worker: int | None = None
    """Which of several processes this is that share the ports under a supervisor; None where it is the only one.

    The first one, 0, fills the archive: several could, but all but one in vain. When it dies, its successor goes on.
    """

    metrics: Address | None = None
    """Where to show metrics; None for nowhere."""
    worker_metrics: Path | None = None
    """The folder where this worker's supervisor asks for its metrics; None where nobody asks."""
    tls: TlsFiles | None = None
    """None to serve in clear text."""

    @property
    def shares(self) -> bool:
        """Whether other processes listen on the same ports."""
        return self.worker is not None


async def serve_until_stopped(plan: Plan) -> None:
    """Serve as planned until a signal. Raises Failure, StoreError, ConfigurationError where it cannot start."""
    with stoppable(supervised=plan.shares) as stopping:
        async with contextlib.AsyncExitStack() as parts:
            await _serve(plan, stopping, parts)


async def _serve(plan: Plan, stopping: Stopping, parts: contextlib.AsyncExitStack) -> None:
    estate = None if plan.provision is None else provisioning.load(plan.provision, os.environ)
    identity = None if plan.tls is None else ServerIdentity(plan.tls)
    if identity is not None:
        await parts.enter_async_context(identity.kept())
    if plan.settings.security.operator_certificates and not (identity is not None and identity.verifies_clients):
        _log.warning("operator_certificates count for nothing without --tls-client-ca")
    listener = parts.enter_context(bind(plan.http, shared=plan.shares))
    if plan.metrics is not None:
        bind(plan.metrics).close()  # says why an address cannot be had, before anything else is done
    store = await open_store(plan.store)
    parts.push_async_callback(store.close)
    clock = await parts.enter_async_context(keep_time(store))
    archive = await _open_archive(plan, store)
    if archive is not None:
        parts.push_async_callback(archive.close)
    poster = Poster(plan.settings.security.outgoing_networks, timeout_ms=plan.settings.wallet.timeout_ms)
    parts.callback(poster.close)
    courier = Courier(plan.settings.security.outgoing_networks, timeout_ms=plan.settings.deliveries.timeout_ms)
    parts.callback(courier.close)
    images = await _open_images(plan)
    if images is not None:
        parts.push_async_callback(images.close)
    pages = PageReader(plan.settings.security.outgoing_networks)
    parts.callback(pages.close)
    engine = await parts.enter_async_context(
        Engine(
            store,
            clock=clock,
            timers=plan.settings.timers,
            operator_tokens=plan.settings.security.operator_tokens,
            operator_certificates=plan.settings.security.operator_certificates,
            archive=archive,
            connect=connect,
            limits=plan.settings.limits,
            links=plan.settings.links,
            images=images,
            images_per_developer=plan.settings.playfun.images_per_developer,
            shares_limits=True if plan.shares else None,
            sealer=_sealer(plan),
            wallet=plan.settings.wallet,
            openid=_openid(plan, listener),
            post=poster,
            read_keys=pages,
            matches=plan.settings.matches,
            send=courier,
            deliveries=plan.settings.deliveries,
        )
    )
    if estate is not None:
        await _provision(engine, estate)
    grpc_server = await _start_grpc(engine, plan.grpc, identity, shared=plan.shares)
    parts.push_async_callback(grpc_server.drain, 0)
    http_server = await _start_http(engine, listener, plan, identity)
    await _start_metrics(engine, plan, parts)
    if plan.tuned:
        settle()
    if archive is not None and not plan.worker:
        _log.info("archiving", extra={"fields": {"archive": without_password(_archive_url(plan) or "")}})
    stopping.ready()
    click.echo(f"ready grpc={grpc_server.address} http={http_server.address} store={without_password(plan.store)}")
    await stopping.wait(http_server.stopped)
    _log.info("draining")
    await stopping.drain(grpc_server.drain, http_server.drain)
    _log.info("stopped")


def _openid(plan: Plan, listener: socket.socket) -> OpenIdRules:
    """Return the rules of tokens. Where nobody says where clients reach this server, it is where it listens."""
    rules = plan.settings.openid
    if rules.base_url:
        return rules
    scheme = "http" if plan.tls is None else "https"
    return replace(rules, base_url=f"{scheme}://{plan.http._replace(port=listener.getsockname()[1])}")


def _sealer(plan: Plan) -> Sealer:
    """Return what seals secrets in the store. Raises ConfigurationError."""
    sealer = open_sealer(plan.store, plan.master_keys)
    if not sealer.master_id and plan.store != "memory://" and not plan.worker:
        cause = "name a master key by --master-key-file or PLAYCLOCK_MASTER_KEY, the same for all processes of this store"
        _log.warning("secrets are stored unencrypted", extra={"fields": {"cause": cause}})
    return sealer


async def _provision(engine: Engine, estate: provisioning.ProvisioningFile) -> None:
    applied = await apply_file(InProcessChannel(engine, operator=True), estate)
    changed = {"created": len(applied.created), "updated": len(applied.updated), "revision": applied.revision}
    _log.info("provisioning applied", extra={"fields": changed})
    for key in applied.inactive_keys:
        _log.warning("the provisioning file names a key that has ended, and stays so", extra={"fields": {"key": key}})


async def _open_archive(plan: Plan, store: Store) -> "ArchiveOfStore | None":
    if plan.archive == NO_ARCHIVE:
        return None
    url = _archive_url(plan)
    if url is None:
        cause = "name one by --archive that all processes of this store can reach, such as postgresql://USER@HOST/NAME"
        _log.warning("no archive is kept", extra={"fields": {"cause": cause}})
        return None
    try:
        return await open_archive(url, store, fills=not plan.worker)
    except ArchiveNotInstalled as error:
        if plan.archive:
            raise
        _log.warning("no archive is kept", extra={"fields": {"cause": str(error)}})
        return None


def _archive_url(plan: Plan) -> str | None:
    return plan.archive or archive_beside(plan.store)


async def _open_images(plan: Plan) -> "ImageKeeper | None":
    place = plan.blobs or blobs_beside(plan.store)
    if place is None or place == NO_BLOBS:
        return None
    try:
        return await open_images(place, url=plan.settings.playfun.images_url)
    except BlobsError as error:
        if plan.blobs or not isinstance(error, ImagesNotInstalled):
            raise Failure(str(error)) from None
        _log.warning("no images are kept", extra={"fields": {"cause": str(error)}})
        return None


async def _start_grpc(engine: Engine, address: Address, identity: ServerIdentity | None, *, shared: bool) -> Server:
    if not shared:
        bind(address).close()  # says why an address cannot be had, which gRPC does not
    try:
        return await Server.start(
            engine,
            str(address),
            credentials=None if identity is None else identity.grpc_credentials(),
            verifies_clients=identity is not None and identity.verifies_clients,
            options=(("grpc.so_reuseport", int(shared)),),
        )
    except AddressInUse:
        raise Failure(f"cannot listen on {address} for gRPC; name another address, or port 0 for a free one") from None


async def _start_http(engine: Engine, listener: socket.socket, plan: Plan, identity: ServerIdentity | None) -> HttpServer:
    app = playclock_http.make_app(
        InProcessChannel(engine),
        trusted_proxies=plan.settings.security.trusted_proxies,
    )
    crowd = Crowd(plan.settings.security.connections_per_address, plan.settings.security.trusted_proxies)
    context = None if identity is None else identity.http_context()
    return await HttpServer.start(app, listener, plan.http, crowd=crowd, context=context)


async def _start_metrics(engine: Engine, plan: Plan, parts: contextlib.AsyncExitStack) -> None:
    """Show metrics where that is wanted, until the very end."""
    if plan.metrics is None and plan.worker_metrics is None:
        return
    from playclock.cli.exposing import exposed  # noqa: PLC0415 needs an extra
    from playclock.cli.worker_metrics import offered, socket_of  # noqa: PLC0415 the same
    from playclock.metrics.registry import registry_of  # noqa: PLC0415 the same

    registry = registry_of(engine)
    if plan.worker_metrics is not None and plan.worker is not None:
        await parts.enter_async_context(offered(registry, socket_of(plan.worker_metrics, plan.worker)))
    if plan.metrics is not None:

        async def collect() -> "Collector":
            return registry

        await parts.enter_async_context(exposed(collect, plan.metrics))
