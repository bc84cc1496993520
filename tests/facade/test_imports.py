"""The facade is a client: of playclock it may import the generated protos and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import playclock_http

ROOT = Path(playclock_http.__file__).parent
DIALECT = re.compile("playwave|agents")


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} imports by dots"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_facade_sees_nothing_of_the_engine_but_its_protos() -> None:
    seen = {name for file in ROOT.rglob("*.py") for name in _imports(file) if name.split(".")[0] == "playclock"}
    assert seen
    assert {name for name in seen if not name.startswith("playclock.v1.")} == set()


def test_what_dialects_share_knows_no_dialect() -> None:
    shared = [file for file in ROOT.glob("*.py") if file.name != "app.py"]
    assert {(file.name, name) for file in shared for name in _imports(file) if DIALECT.search(name)} == set()


def test_no_dialect_knows_another() -> None:
    knows = {
        (file.parent.name, found[0])
        for file in ROOT.rglob("*/*.py")
        for name in _imports(file)
        if (found := DIALECT.search(name))
    }
    assert knows == {("playwave", "playwave"), ("agents", "agents")}
