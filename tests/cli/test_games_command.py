"""Games by the command line."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}
GAME = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
NOBODY = "550e8400-e29b-41d4-a716-446655440000"


def test_a_game_from_its_creation_to_its_end(run: "Run", served: dict[str, str]) -> None:
    engine = ("--engine", served["grpc"], "--json")
    create = ("games", "create", "Seven Seas", "--description", "of all", "--request-id", "seven-seas", *engine)
    made = json.loads(run(*create, **TOKEN).stdout)
    assert json.loads(run(*create, **TOKEN).stdout) == made
    assert json.loads(run("games", "show", made["number"], *engine, **TOKEN).stdout) == made

    def listed(*options: str) -> list[str]:
        return [game["id"] for game in json.loads(run("games", "list", "--search", "SEAS", *options, *engine, **TOKEN).stdout)]

    assert listed() == [made["id"]]
    assert json.loads(run("games", "hide", made["id"], *engine, **TOKEN).stdout)["admin_hidden"]
    assert (listed(), listed("--all")) == ([], [made["id"]])
    assert "admin_hidden" not in json.loads(run("games", "unhide", made["id"], *engine, **TOKEN).stdout)
    assert "delete_time" in json.loads(run("games", "delete", made["id"], "--yes", *engine, **TOKEN).stdout)
    assert listed("--all") == []


def test_a_table_says_where_it_ends(run: "Run", served: dict[str, str]) -> None:
    engine = ("--engine", served["grpc"])
    made = [run("games", "create", name, *engine, "--json", **TOKEN) for name in ("Zebra", "Zebra finch")]
    shown = run("games", "list", "--search", "zebra", "--limit", "1", *engine, **TOKEN)
    first, second = shown.stdout.splitlines()
    assert first.split("\t") == ["game", "number", "name", "brand", "state", "created", "changed"]
    assert second.split("\t")[2::2] == ["Zebra", "SHOWN", second.split("\t")[6]]
    assert "1 of 2 games; --offset 1 goes on" in shown.stderr
    assert f"game\t{GAME}" in run("games", "show", GAME, *engine, **TOKEN).stdout
    for each in made:
        assert run("games", "delete", json.loads(each.stdout)["id"], "--yes", *engine, **TOKEN).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("show", NOBODY), 1, "no such game"),
        (("show", "x"), 1, "expected a lower-case UUID"),
        (("create", ""), 1, "is required"),
        (("list", "--agent", "99"), 1, "no such agent"),
        (("hide", NOBODY), 1, "no such game"),
        (("delete", GAME), 1, "for good?"),
        (("delete", NOBODY, "--yes"), 1, "no such game"),
    ],
)
def test_what_cannot_be_done_is_told(
    run: "Run", served: dict[str, str], arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    failed = run("games", *arguments, "--engine", served["grpc"], **TOKEN)
    assert (failed.returncode, sentence in failed.stderr) == (code, True), failed.stderr
    assert "Traceback" not in failed.stderr
