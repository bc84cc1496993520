"""Who may import whom: one table, held against every file of the two packages. A file without a row fails."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
SOURCE_ROOTS: Final = (ROOT / "engine", ROOT / "facade")

EVERYTHING: Final = ("playclock", "playclock_http")
FILES: Final = ("playclock.tomlfile", "playclock.tomllines", "playclock.tomltable")

MAY_IMPORT: Final[dict[str, tuple[str, ...]]] = {
    # The rules and what they say.
    "playclock.errors": (),
    "playclock.clock": ("playclock.core.steering",),
    "playclock.core": ("playclock.core", "playclock.errors"),
    # Where records lie: no word of the domain.
    "playclock.stores.base": (),
    "playclock.stores": ("playclock.stores",),
    # The shell around the rules.
    "playclock.engine": (
        "playclock.engine",
        "playclock.core",
        "playclock.errors",
        "playclock.clock",
        "playclock.stores.base",
    ),
    "playclock.engine.engine": (
        "playclock.engine",
        "playclock.core",
        "playclock.errors",
        "playclock.clock",
        "playclock.stores.base",
        "playclock.stores.memory",  # the default store
    ),
    # What is kept for years, in SQL.
    "playclock.archive": (
        "playclock.archive",
        "playclock.core",
        "playclock.engine.history",
        "playclock.errors",
        "playclock.stores.base",
    ),
    # The wire.
    "playclock.v1": ("playclock.v1",),
    "playclock.provider": ("playclock.provider",),
    "playclock.rpc": ("playclock.rpc", "playclock.engine", "playclock.core", "playclock.errors", "playclock.v1"),
    "playclock.rpc.partner": (
        "playclock.rpc.messages",
        "playclock.engine.authority",
        "playclock.core",
        "playclock.errors",
        "playclock.provider.v1",
    ),
    # What is kept of images, and where: the one knows no stores, the other no images.
    "playclock.images": (
        "playclock.images",
        "playclock.core",
        "playclock.errors",
        "playclock.blobs",
        "playclock.engine.images",
    ),
    "playclock.blobs": ("playclock.blobs",),
    # The one way out.
    "playclock.outgoing": ("playclock.outgoing",),
    "playclock.callbacks": ("playclock.engine.callbacks", "playclock.outgoing"),
    "playclock.deliveries": ("playclock.engine.callbacks", "playclock.outgoing"),
    "playclock.pages": ("playclock.engine.ownership", "playclock.outgoing"),
    # Files that an operator writes, and what he reads.
    "playclock.log": (),
    "playclock.tomlfile": FILES,
    "playclock.tomllines": FILES,
    "playclock.tomltable": FILES,
    "playclock.masterkeys": ("playclock.engine.sealing", "playclock.tomlfile", "playclock.tomltable"),
    "playclock.openid_settings": ("playclock.core.fields", "playclock.core.openid", *FILES),
    "playclock.settings": (
        "playclock.core.delivery",
        "playclock.core.fields",
        "playclock.core.kept_images",
        "playclock.core.limits",
        "playclock.core.links",
        "playclock.core.match",
        "playclock.core.openid",
        "playclock.openid_settings",
        "playclock.core.points",
        "playclock.core.timers",
        "playclock.core.wallet",
        "playclock.errors",
        *FILES,
    ),
    "playclock.provisioning": (
        "playclock.core.estate",
        "playclock.core.fields",
        "playclock.core.ids",
        "playclock.core.launch_url",
        "playclock.core.tariff",
        "playclock.errors",
        "playclock.v1",
        *FILES,
    ),
    # What is shown of an engine, and how: for Prometheus.
    "playclock.metrics": ("playclock.metrics", "playclock.engine", "playclock.clock"),
    # Embedding: whoever puts an engine together in process.
    "playclock.blocking": (
        "playclock.clock",
        "playclock.core.timers",
        "playclock.engine",
        "playclock.rpc.inprocess",
        "playclock.rpc.partner",
        "playclock.archive.urls",
        "playclock.masterkeys",
        "playclock.stores.urls",
    ),
    "playclock.testing": ("playclock.blocking", "playclock.clock", "playclock.core.timers", "playclock.v1"),
    "playclock.pytest_plugin": ("playclock.testing",),
    "playclock.__init__": ("playclock",),
    # The composition root.
    "playclock.cli": EVERYTHING,
    "playclock.__main__": EVERYTHING,
    # The facade is a client.
    "playclock_http": ("playclock_http", "playclock.v1"),
}
"""What a module, or a package and all below it, may import of ours. The longest row that fits a module counts."""

PURE: Final = frozenset(
    {
        "array",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "collections.abc",
        "contextlib",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "functools",
        "hashlib",
        "hmac",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "typing",
        "urllib.parse",
        "zoneinfo",
    }
)
"""Standard modules that neither wait, nor roll dice, nor look at a clock."""

WIRE: Final = ("grpc", "grpc_health", "grpc_reflection", "grpc_status", "google")
OUTWARD: Final = ("aiohttp", "h11", "http.client", "httpcore", "httpx", "requests", "urllib.request", "urllib3")
"""With these one makes requests. Addresses that strangers chose are called by `playclock.outgoing`, and by nobody else."""
SERVERS: Final = ("starlette", "uvicorn", "httptools")
HTTP: Final = (*SERVERS, *OUTWARD)
TERMINAL: Final = ("click", "rich")
STORES: Final = ("redis", "sqlite3")
LAZY: Final = ("importlib",)
METRICS: Final = ("prometheus_client",)

MAY_NOT_IMPORT: Final[dict[str, tuple[str, ...]]] = {
    "playclock.stores": (*WIRE, *HTTP, *TERMINAL, *LAZY, *METRICS),
    "playclock.engine": (*WIRE, *HTTP, *TERMINAL, *STORES, *LAZY, *METRICS, "random", "socket", "time"),
    "playclock.archive": (*WIRE, *HTTP, *TERMINAL, *STORES, *LAZY, *METRICS, "random", "socket", "time"),
    "playclock.rpc": (*HTTP, *TERMINAL, *STORES, *LAZY, *METRICS, "random"),
    "playclock.blocking": (*HTTP, *TERMINAL, *STORES, *LAZY, *METRICS),
    "playclock.testing": (*HTTP, *TERMINAL, *STORES, *LAZY, *METRICS),
    "playclock.metrics": (*WIRE, *HTTP, *TERMINAL, *STORES, "random", "socket", "time"),
    "playclock.outgoing": (*WIRE, *SERVERS, *TERMINAL, *STORES, *LAZY, *METRICS, "random", "time"),
    "playclock.settings": (*WIRE, *HTTP, *TERMINAL, *STORES, *LAZY),
    "playclock.provisioning": (*HTTP, *TERMINAL, *STORES, *LAZY),
    "playclock.log": (*WIRE, *HTTP, *TERMINAL, *STORES, *LAZY),
    "playclock_http": (*TERMINAL, *STORES, *LAZY, "uvicorn", "random", "time"),
}
"""What is not ours and may not be imported there. `core`, `errors` and `stores.base` may only have what is PURE."""

ONLY_PURE: Final = ("playclock.core", "playclock.errors", "playclock.stores.base")

CLOCK_READERS: Final = frozenset({"time", "time_ns", "clock_gettime", "clock_gettime_ns", "gmtime", "localtime", "ctime"})
DATE_READERS: Final = frozenset({"now", "utcnow", "today"})
MAY_READ_THE_TIME: Final = frozenset(
    {
        "playclock.clock",
        "playclock_http.app",  # the time of day in an error's body; a facade has no engine to ask
    }
)


def modules() -> dict[str, Path]:
    """Return every module of ours. A package's own module is named after it, but for the two outermost."""
    found = {}
    for root in SOURCE_ROOTS:
        for file in sorted(root.rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)
            found[name] = file
    return found


MODULES: Final = modules()


def is_within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def row_of(module: str, table: dict[str, tuple[str, ...]]) -> str | None:
    return max((row for row in table if is_within(module, row)), key=len, default=None)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of every module that is imported, inside functions and for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level + (node.module or "")
                continue
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else str(node.module)


def faults(module: str, source: str) -> list[str]:
    """Return what a module imports and may not."""
    row = row_of(module, MAY_IMPORT)
    if row is None:
        return [f"{module} has no row in MAY_IMPORT"]
    found = []
    banned = MAY_NOT_IMPORT.get(row_of(module, MAY_NOT_IMPORT) or "", ())
    is_pure = any(is_within(module, prefix) for prefix in ONLY_PURE)
    for name in imported(ast.parse(source)):
        if name.startswith("."):
            found.append(f"{module} imports by dots: {name}")
        elif name.split(".")[0] in EVERYTHING:
            own = "playclock.__init__" if name == "playclock" else name
            if not any(is_within(own, allowed) for allowed in MAY_IMPORT[row]):
                found.append(f"{module} imports {name}")
        elif name.split(".")[0] in ("engine", "facade"):
            found.append(f"{module} imports a source root: {name}")
        elif any(is_within(name, prefix) for prefix in banned):
            found.append(f"{module} imports {name}")
        elif is_pure and name not in PURE and not is_within(name, "msgspec"):
            found.append(f"{module} imports {name}, which is not known to be pure")
    return found


def readings(source: str) -> list[str]:
    """Return where a source reads the time of day."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"line {node.lineno}: time.{alias.name}" for alias in node.names if alias.name in CLOCK_READERS]
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            reads_clock = owner == "time" and node.attr in CLOCK_READERS
            reads_date = owner.split(".")[-1] in ("datetime", "date") and node.attr in DATE_READERS
            if reads_clock or reads_date:
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports_what_its_row_allows(module: str) -> None:
    assert faults(module, MODULES[module].read_text("utf-8")) == []


def test_every_row_is_of_something_that_is_there() -> None:
    for row in (*MAY_IMPORT, *MAY_NOT_IMPORT, *ONLY_PURE, *MAY_READ_THE_TIME):
        assert any(is_within(module, row) for module in MODULES), row
    for allowed in {name for names in MAY_IMPORT.values() for name in names}:
        assert any(is_within(module, allowed) for module in MODULES), allowed


def test_only_the_clock_reads_the_time() -> None:
    reading = {module for module, file in MODULES.items() if readings(file.read_text("utf-8"))}
    assert reading == MAY_READ_THE_TIME


def test_nobody_else_makes_requests() -> None:
    asking = {
        module
        for module, file in MODULES.items()
        for name in imported(ast.parse(file.read_text("utf-8")))
        if any(is_within(name, library) for library in OUTWARD)
    }
    # The command line asks a playclock server, whose address its user has given.
    assert {module for module in asking if not is_within(module, "playclock.outgoing")} == {"playclock.cli.rest"}
    assert "playclock.outgoing.exchange" in asking


def test_the_source_roots_are_no_packages_and_nobody_takes_them_for_some() -> None:
    for root in SOURCE_ROOTS:
        assert not (root / "__init__.py").exists()
    for folder in ("tests", "bench", "simulation", "examples", "scripts"):
        for file in (ROOT / folder).rglob("*.py"):
            tops = {name.split(".")[0] for name in imported(ast.parse(file.read_text("utf-8")))}
            assert not tops & {"engine", "facade"}, file


class TestTheTable:
    """It would be worth nothing if it let these through."""

    @pytest.mark.parametrize(
        ("module", "source"),
        [
            ("playclock.core.session", "from playclock.stores.base import Store"),
            ("playclock.core.session", "from playclock.clock import Clock"),
            ("playclock.core.session", "import playclock"),
            ("playclock.core.session", "from playclock import clock"),
            ("playclock.core.session", "import time"),
            ("playclock.core.session", "import asyncio"),
            ("playclock.core.session", "import random"),
            ("playclock.core.session", "from os import urandom"),
            ("playclock.core.session", "import grpc.aio"),
            ("playclock.core.session", "from . import charge"),
            ("playclock.core.session", "def late():\n    from playclock.engine import Engine"),
            ("playclock.core.session", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import playclock.engine"),
            ("playclock.errors", "from playclock.core.session import State"),
            ("playclock.errors", "import grpc"),
            ("playclock.stores.base", "from playclock.stores.keys import check_keys"),
            ("playclock.stores.memory", "from playclock.core.ids import partition_in"),
            ("playclock.stores.memory", "from playclock.errors import StoreAway"),
            ("playclock.stores.sqlite", "import google.protobuf"),
            ("playclock.engine.sessions", "from playclock.stores.memory import MemoryStore"),
            ("playclock.engine.sessions", "from playclock.v1 import Session"),
            ("playclock.engine.sessions", "from playclock.rpc.status import CODES"),
            ("playclock.engine.sessions", "import starlette.routing"),
            ("playclock.engine.sessions", "from google.protobuf.message import Message"),
            ("playclock.engine.engine", "from playclock.stores.sqlite import SqliteStore"),
            ("playclock.rpc.session", "from playclock.stores.base import Store"),
            ("playclock.rpc.session", "from playclock.clock import SystemClock"),
            ("playclock.rpc.session", "from playclock_http import make_app"),
            ("playclock_http.app", "from playclock.engine import Engine"),
            ("playclock_http.app", "from playclock import errors"),
            ("playclock_http.app", "import playclock"),
            ("playclock_http.playwave.game", "from playclock.core.ids import is_uuid"),
            ("playclock_http.app", "import importlib"),
            ("playclock.engine.counts", "from prometheus_client import Counter"),
            ("playclock.metrics.collector", "from playclock.rpc.dispatch import Dispatcher"),
            ("playclock.outgoing.client", "from playclock.engine import Engine"),
            ("playclock.outgoing.client", "from playclock.core.ids import is_uuid"),
            ("playclock.outgoing.client", "import httptools"),
            ("playclock.cli.main", "import engine.playclock"),
            ("playclock.cli.main", "from facade import playclock_http"),
            ("playclock.utils", "import json"),
        ],
    )
    def test_refuses(self, module: str, source: str) -> None:
        assert len(faults(module, source)) == 1

    @pytest.mark.parametrize(
        ("module", "source"),
        [
            ("playclock.core.session", "import re\nfrom msgspec.structs import replace\nfrom playclock.core import charge"),
            ("playclock.core.guards", "from playclock import errors"),
            ("playclock.engine.engine", "from playclock.stores.memory import MemoryStore"),
            ("playclock.rpc.session", "import grpc\nfrom playclock.engine.heartbeats import HeartbeatCall"),
            ("playclock.outgoing.client", "import asyncio, h11, socket, ssl\nfrom playclock.outgoing.errors import Busy"),
            ("playclock_http.anything.new", "import grpc.aio\nfrom playclock.v1 import Session"),
            ("playclock.cli.main", "import playclock_http, redis, rich\nfrom playclock.engine import Engine"),
        ],
    )
    def test_allows(self, module: str, source: str) -> None:
        assert faults(module, source) == []

    @pytest.mark.parametrize(
        "source",
        [
            "import time\ntime.time()",
            "import time\nread = time.time_ns",
            "from time import time",
            "from datetime import datetime\ndatetime.now()",
            "import datetime\ndatetime.datetime.utcnow()",
            "import datetime\ndatetime.date.today()",
        ],
    )
    def test_sees_who_reads_the_time(self, source: str) -> None:
        assert len(readings(source)) == 1

    def test_lets_durations_be_measured(self) -> None:
        assert readings("import time\nfrom time import perf_counter_ns\ntime.monotonic()\ntime.perf_counter()") == []


def run_without(blocked: tuple[str, ...], statements: str, *, first: str = "") -> None:
    code = f"{first}\nimport sys\nfor name in {blocked!r}:\n    sys.modules[name] = None\n{statements}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


EXTRAS: Final = ("starlette", "uvicorn", "httptools", "uvloop", "redis", "click", "rich", "pytest", "httpx", *METRICS)


@pytest.mark.parametrize(
    "statements",
    [
        "import playclock",
        "import playclock.engine",
        "import playclock.rpc.server",
        "import playclock\nfor name in playclock.__all__:\n    getattr(playclock, name)",
        "import playclock.testing, playclock.settings, playclock.provisioning, playclock.log",
    ],
)
def test_an_embedder_needs_no_extra(statements: str) -> None:
    run_without(EXTRAS, statements)


def test_the_core_works_where_nothing_can_wait_or_roll_dice_or_look_at_a_clock() -> None:
    names = [module for module in MODULES if is_within(module, "playclock.core")]
    pure = f"import msgspec, {', '.join(sorted(PURE))}"
    impure = ("asyncio", "grpc", "google", "starlette", "redis", "sqlite3", "random", "secrets", "time", "socket")
    run_without(impure, f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)", first=pure)


def test_the_engine_works_without_a_wire() -> None:
    run_without((*WIRE, *HTTP), "import playclock.engine, playclock.stores.sqlite")


def test_the_facade_works_without_the_engine() -> None:
    names = ("engine", "core", "stores", "rpc", "errors", "clock", "settings", "cli")
    run_without(tuple(f"playclock.{name}" for name in names), "import playclock_http")
