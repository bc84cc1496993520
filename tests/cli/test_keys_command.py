"""Keys by the command line, and where the master key comes from that seals them in the store."""

import base64
import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playclock.masterkeys import MasterKeys, key_file_beside, open_sealer, read_keys
from playclock.tomlfile import ConfigurationError
from playclock.tomltable import Printed

from tests.cli.conftest import EXAMPLES

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}
GAME = "game/3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()
PORTS = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
ESTATE = ("--config", str(EXAMPLES / "settings.toml"), "--provision", str(EXAMPLES / "provisioning.toml"))


class TestCommands:
    def test_a_key_from_its_creation_to_its_end(self, run: "Run", served: dict[str, str]) -> None:
        engine = ("--engine", served["grpc"], "--json")
        made = json.loads(run("keys", "create", GAME, "--label", "l", "--expires", "90d", *engine, **TOKEN).stdout)
        assert made["secret"].startswith("pck_")
        key_id = made["key"]["id"]
        rotated = json.loads(run("keys", "rotate", key_id, "--overlap", "24h", *engine, **TOKEN).stdout)
        assert (rotated["previous"]["id"], rotated["key"]["label"]) == (key_id, "l")
        new_id = rotated["key"]["id"]
        expiring = json.loads(run("keys", "expire", new_id, "--in", "12h", *engine, **TOKEN).stdout)
        assert "expire_time" in expiring
        assert "expire_time" not in json.loads(run("keys", "expire", new_id, "--never", *engine, **TOKEN).stdout)
        assert json.loads(run("keys", "revoke", key_id, *engine, **TOKEN).stdout)["state"] == "STATE_REVOKED"
        shown = run("keys", "list", GAME, *engine, **TOKEN).stdout
        alive = [key["id"] for key in json.loads(shown)]
        assert new_id in alive
        assert key_id not in alive
        everything = run("keys", "list", "--all", *engine, **TOKEN).stdout
        assert key_id in everything
        for secret in (made["secret"], rotated["secret"]):
            assert secret not in everything
        assert json.loads(run("keys", "reseal", *engine, **TOKEN).stdout) == {"resealed": 0}

    def test_a_table_shows_the_secret_once(self, run: "Run", served: dict[str, str]) -> None:
        engine = ("--engine", served["grpc"])
        created = run("keys", "create", "launcher/launcher-1", "--request-id", "a-key", *engine, **TOKEN)
        assert re.search(r"^secret\tpcs_\S{43}$", created.stdout, re.MULTILINE)
        again = run("keys", "create", "launcher/launcher-1", "--request-id", "a-key", *engine, **TOKEN)
        assert "secret\tshown when the key was created" in again.stdout
        lines = run("keys", "list", "launcher/launcher-1", *engine, **TOKEN).stdout.splitlines()
        assert lines[0].split("\t") == ["key", "owner", "state", "label", "from", "created", "ends", "last used"]
        assert len(lines) == 3

    @pytest.mark.parametrize(
        ("arguments", "code", "sentence"),
        [
            (("create", "cafe/cafe-1"), 1, "nobody is called that"),
            (("create", GAME, "--expires", "soon"), 2, "expected a number and s, m, h or d"),
            (("revoke", "key_0123456789abcdef"), 1, "no such key"),
            (("revoke", "launcher-1"), 1, "expected key_ and 16 hex digits"),
            (("expire", "key_0123456789abcdef"), 2, "say when it ends"),
            (("expire", "key_0123456789abcdef", "--in", "1h", "--never"), 2, "say when it ends"),
        ],
    )
    def test_what_cannot_be_done_is_a_sentence(
        self, run: "Run", served: dict[str, str], arguments: tuple[str, ...], code: int, sentence: str
    ) -> None:
        result = run("keys", *arguments, "--engine", served["grpc"], **TOKEN)
        assert (result.returncode, sentence in result.stderr) == (code, True), result.stderr
        assert "Traceback" not in result.stderr


class TestBesideSqlite:
    def test_a_key_is_made_once_that_only_its_owner_reads(self, run: "Run", tmp_path: Path) -> None:
        arguments = ("apply", str(EXAMPLES / "provisioning.toml"), "--store", "sqlite:///play.db")
        assert run(*arguments).returncode == 0
        file = tmp_path / "play.key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        made = file.read_bytes()
        assert b"dev-launcher-secret" not in b"".join(each.read_bytes() for each in tmp_path.glob("play.db*"))
        assert run(*arguments).stdout == "nothing to change\n"
        assert file.read_bytes() == made
        assert not list(tmp_path.glob(".play.key*"))

    def test_without_it_the_store_is_refused_in_a_sentence(self, run: "Run", tmp_path: Path) -> None:
        arguments = ("apply", str(EXAMPLES / "provisioning.toml"), "--store", "sqlite:///play.db")
        assert run(*arguments).returncode == 0
        (tmp_path / "play.key").unlink()
        refused = run(*arguments)
        assert refused.returncode == 1
        assert "sealed under the master key" in refused.stderr
        assert "Traceback" not in refused.stderr

    @pytest.mark.parametrize(
        ("url", "file"),
        [
            ("sqlite:///play.db", "play.key"),
            ("sqlite:////var/lib/play.sqlite", "/var/lib/play.key"),
            ("sqlite:///play.key", "play.key.key"),
            ("memory://", None),
            ("redis://127.0.0.1/0", None),
        ],
    )
    def test_it_lies_beside_the_store(self, url: str, file: str | None) -> None:
        assert key_file_beside(url) == (None if file is None else Path(file))


class TestServing:
    def test_a_server_seals_under_a_key_that_a_command_prints_and_another_reads_it(
        self, start: "Start", run: "Run", tmp_path: Path
    ) -> None:
        (tmp_path / "master").write_text(TEXT + "\n")
        store = ("--store", "sqlite:///play.db", *PORTS, *ESTATE)
        first = start("serve", *store, "--master-key-command", "cat master")
        first.ready()
        first.process.terminate()
        assert first.end() == 0
        assert TEXT not in first.log_until_end()
        assert not (tmp_path / "play.key").exists()
        refused = run("serve", *store)
        assert refused.returncode == 1
        assert "was not given" in refused.stderr
        rotating = start("serve", *store, PLAYCLOCK_MASTER_KEY="ff" * 32, PLAYCLOCK_OLD_MASTER_KEYS=TEXT)
        resealed = run("keys", "reseal", "--engine", rotating.ready()["grpc"], **TOKEN)
        assert re.fullmatch(r"resealed [1-9][0-9]* secrets\n", resealed.stdout), resealed.stderr
        rotating.process.terminate()
        assert rotating.end() == 0
        start("serve", *store, "--workers", "2", PLAYCLOCK_MASTER_KEY="ff" * 32).ready()

    def test_a_revoked_key_of_the_file_is_told_in_the_log(self, start: "Start", run: "Run") -> None:
        store = ("--store", "sqlite:///play.db", *PORTS, *ESTATE)
        first = start("serve", *store)
        engine = ("--engine", first.ready()["grpc"])
        (key,) = json.loads(run("keys", "list", "launcher/launcher-1", *engine, "--json", **TOKEN).stdout)
        assert run("keys", "revoke", key["id"], *engine, **TOKEN).returncode == 0
        first.process.terminate()
        assert first.end() == 0
        second = start("serve", *store)
        second.ready()
        second.wait_for_log(f"launcher/launcher-1: {key['id']}")
        applied = run("apply", str(EXAMPLES / "provisioning.toml"), "--store", "sqlite:///play.db")
        assert applied.stdout == f"stays ended launcher/launcher-1: {key['id']}\nnothing to change\n"


class TestSources:
    @pytest.mark.parametrize("text", [TEXT, TEXT.rstrip("="), KEY.hex(), KEY.hex().upper(), f" {TEXT}\n"])
    def test_a_key_is_read_in_any_usual_spelling(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "key").write_text(text)
        assert read_keys(text, [tmp_path / "key"]) == MasterKeys(KEY, (KEY,))

    def test_urls_alphabet_is_read_too(self) -> None:
        key = bytes([0xFB, 0xFF] * 16)
        assert read_keys(base64.urlsafe_b64encode(key).decode()).current == key

    @pytest.mark.parametrize("text", ["", "short", TEXT[:-2], TEXT + "AAAA", "zz" * 32, KEY.hex()[:-1], "é" * 32, "x" * 10_000])
    def test_what_is_no_key_is_refused_and_not_shown(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "key").write_text(text)
        with pytest.raises(ConfigurationError, match="expected 32 random bytes in base64 or hex") as refusal:
            read_keys(tmp_path / "key")
        assert not text or text not in str(refusal.value)

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            (Path("/nowhere/at/all"), "cannot be read: No such file"),
            (Printed("/nowhere/at/all"), "cannot be run: No such file"),
            (Printed("sh -c 'echo the-secret; echo the-secret >&2; exit 3'"), "ended with exit code 3"),
            (Printed("printf the-secret"), "that its command prints: expected 32 random bytes"),
            (Printed("unbalanced '"), "it is no command line"),
            (Printed(" "), "it is no command line"),
        ],
    )
    def test_a_source_that_fails_is_named_and_what_it_printed_is_not(
        self, capfd: pytest.CaptureFixture[str], source: Path | Printed, sentence: str
    ) -> None:
        with pytest.raises(ConfigurationError) as refusal:
            read_keys(source)
        assert sentence in str(refusal.value)
        assert "the-secret" not in str(refusal.value) + "".join(capfd.readouterr())

    def test_a_command_that_does_not_end_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("playclock.masterkeys.COMMAND_SEC", 0.1)
        with pytest.raises(ConfigurationError, match="did not end within"):
            read_keys(Printed("sleep 60"))

    def test_old_keys_alone_are_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="no master key"):
            read_keys(None, [TEXT])

    def test_two_sources_are_refused(self, run: "Run", tmp_path: Path) -> None:
        (tmp_path / "key").write_text(TEXT)
        refused = run("serve", "--master-key-file", "key", "--master-key-command", "cat key")
        assert refused.returncode == 2
        assert "leave one of them out" in refused.stderr

    def test_memory_and_redis_have_a_key_only_if_one_is_given(self) -> None:
        assert open_sealer("memory://").master_id == open_sealer("redis://127.0.0.1/0").master_id == ""
        assert open_sealer("redis://127.0.0.1/0", MasterKeys(KEY)).master_id

    def test_no_key_is_shown(self) -> None:
        assert TEXT not in repr(MasterKeys(KEY, (KEY,)))
        assert str(KEY) not in repr(MasterKeys(KEY, (KEY,)))
