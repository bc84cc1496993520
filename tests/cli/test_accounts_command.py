import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Run

TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}


def test_a_top_up_is_shown_and_its_repeat_changes_nothing(run: "Run", served: dict[str, str]) -> None:
    arguments = ("accounts", "top-up", "cafe-1", "2500000", "--request-id", "r-1", "--engine", served["grpc"], "--json")
    first = json.loads(run(*arguments, **TOKEN).stdout)
    assert json.loads(run(*arguments, **TOKEN).stdout) == first
    shown = json.loads(run("accounts", "show", "cafe-1", "--engine", served["grpc"], "--json", **TOKEN).stdout)
    assert shown["balance_micros"] == first["balance_micros"]
    assert first["transfer_id"].startswith("topup/cafe-1/")


def test_a_top_up_is_taken_back_once(run: "Run", served: dict[str, str]) -> None:
    engine = ("--engine", served["grpc"])
    before = json.loads(run("accounts", "show", "cafe-1", *engine, "--json", **TOKEN).stdout)
    booked = json.loads(run("accounts", "top-up", "cafe-1", "1000000", *engine, "--json", **TOKEN).stdout)
    after = json.loads(run("accounts", "reverse", "cafe-1", booked["transfer_id"], *engine, "--json", **TOKEN).stdout)
    assert after["balance_micros"] == before["balance_micros"]
    again = run("accounts", "reverse", "cafe-1", booked["transfer_id"], *engine, **TOKEN)
    assert again.returncode == 1
    assert "taken back before" in again.stderr


def test_programs_get_tabs(run: "Run", served: dict[str, str]) -> None:
    lines = run("accounts", "show", "cafe-1", "--engine", served["grpc"], **TOKEN).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["field", "account", "currency", "balance", "held", "free", "debt limit"]


def test_an_unknown_account_is_a_sentence(run: "Run", served: dict[str, str]) -> None:
    result = run("accounts", "show", "nobody", "--engine", served["grpc"], **TOKEN)
    assert result.returncode == 1
    assert "no such account" in result.stderr
    assert "Traceback" not in result.stderr
