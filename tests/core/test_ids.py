"""Ids, tokens and keys: one spelling each, each in its partition, and none that could be taken for another kind's."""

import itertools
import re
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.ids import (
    LAUNCH_PREFIX,
    SESSION_PREFIX,
    account_key,
    answer_key,
    claim_key,
    is_launch_id,
    is_session_id,
    is_uuid,
    kind_of,
    launch_key,
    make_uuid,
    nonce_key,
    ott_key,
    partition_in,
    partition_of,
    request_id_of,
    seat_key,
    server_key,
    session_key,
    signature_key,
    transfer_id_of,
    transfer_key,
)

REPEATABLE = settings(deadline=None, derandomize=True)

PARTITIONS = st.integers(0, 255)
RANDOM = st.binary(min_size=16, max_size=16)
TEXTS = st.text(max_size=6) | st.sampled_from(["", ":", "0:", "1:", "1:a", "a", "ab", "b", "\0", "\ud800"])
UUID = "00c5d1e2-0a1b-4c2d-8e3f-0123456789ab"
DIGEST = "[0-9a-f]{32}"


class TestMakeUuid:
    @REPEATABLE
    @given(PARTITIONS, RANDOM)
    def test_makes_a_uuid_of_version_4_in_its_one_spelling(self, partition: int, random: bytes) -> None:
        made = make_uuid(partition, random)
        parsed = uuid.UUID(made)
        assert str(parsed) == made
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122
        assert is_uuid(made)

    @REPEATABLE
    @given(PARTITIONS, RANDOM)
    def test_the_partition_can_be_read_from_every_kind_of_id(self, partition: int, random: bytes) -> None:
        made = make_uuid(partition, random)
        assert partition_in(made) == partition
        assert partition_in(SESSION_PREFIX + made) == partition
        assert partition_in(LAUNCH_PREFIX + made) == partition

    def test_uses_114_random_bits_each_in_a_place_of_its_own(self) -> None:
        none = uuid.UUID(make_uuid(0x5A, bytes(16))).int
        moved = [uuid.UUID(make_uuid(0x5A, (1 << bit).to_bytes(16))).int ^ none for bit in range(128)]
        used = [difference for difference in moved if difference]
        assert len(used) == len(set(used)) == 114
        assert all(difference.bit_count() == 1 for difference in used)

    def test_what_is_no_randomness_is_always_the_same(self) -> None:
        assert make_uuid(0, bytes(16)) == "00000000-0000-4000-8000-000000000000"
        assert make_uuid(0xA7, b"\xff" * 16) == "a7ffffff-ffff-4fff-bfff-ffffffffffff"

    def test_takes_no_more_than_16_bytes(self) -> None:
        assert make_uuid(1, bytes(range(20))) == make_uuid(1, bytes(range(16)))


CHECKS: list[tuple[Callable[[str], bool], str]] = [(is_uuid, ""), (is_session_id, "gs_"), (is_launch_id, "ls_")]

OTHER_SPELLINGS = [
    "",
    " ",
    UUID.upper(),
    UUID.replace("c", "C", 1),
    UUID.replace("-", ""),
    UUID.replace("-", "_"),
    UUID.replace("-", "\u2010"),
    "{" + UUID + "}",
    "urn:uuid:" + UUID,
    "0x" + UUID[2:],
    UUID + "\n",
    UUID + "\r",
    UUID + "\0",
    "\n" + UUID,
    " " + UUID,
    UUID + " ",
    UUID[:-1],
    UUID + "0",
    UUID[1:],
    UUID[:-1] + "g",
    UUID[:-1] + "_",
    UUID[:-1] + "+",
    "00c5d1e-20a1b-4c2d-8e3f-0123456789ab",
    # The digit 0 as full-width, Arabic-Indic and mathematical, and a full-width letter: int() and uuid.UUID() take them.
    "\uff10" + UUID[1:],
    "\u0660" + UUID[1:],
    "\U0001d7ce" + UUID[1:],
    UUID[:-1] + "\uff42",
    "\ud800" + UUID[1:],
    "gs_gs_" + UUID,
    "GS_" + UUID,
    "gs-" + UUID,
    "xs_" + UUID,
    "gs_" + UUID + "\n",
    "gs_ " + UUID,
]


class TestSpelling:
    @pytest.mark.parametrize(("is_spelled", "prefix"), CHECKS)
    def test_there_is_one(self, is_spelled: Callable[[str], bool], prefix: str) -> None:
        assert is_spelled(prefix + UUID)

    @pytest.mark.parametrize("other", OTHER_SPELLINGS)
    @pytest.mark.parametrize(("is_spelled", "prefix"), CHECKS)
    def test_there_is_no_other(self, is_spelled: Callable[[str], bool], prefix: str, other: str) -> None:
        assert not is_spelled(other)
        assert not is_spelled(prefix + other)

    def test_no_kind_of_id_is_another_s(self) -> None:
        for (is_spelled, prefix), (_, another) in itertools.permutations(CHECKS, 2):
            assert not is_spelled(another + UUID), f"{another} for {prefix}"

    def test_a_uuid_of_any_version_is_one_so_that_foreign_ids_pass(self) -> None:
        assert is_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
        assert is_uuid("00000000-0000-0000-0000-000000000000")

    @REPEATABLE
    @given(st.text(max_size=50) | st.from_regex(r"\A(?:gs_|ls_)?[\da-fA-F\-]{30,40}\Z"))
    def test_what_passes_is_the_one_spelling(self, text: str) -> None:
        for is_spelled, prefix in CHECKS:
            if is_spelled(text):
                assert text == prefix + str(uuid.UUID(text.removeprefix(prefix)))


class TestPartitionOf:
    def test_is_the_first_byte_of_the_hash_of_kind_and_name(self) -> None:
        # printf 'account\0cafe-1' | sha256sum
        assert partition_of("account", "cafe-1") == 0xBF
        assert partition_of("cafe", "cafe-1") == 0xDA

    def test_spreads_names_over_all_partitions(self) -> None:
        assert {partition_of("account", f"cafe-{number}") for number in range(4_000)} == set(range(256))


class TestKeys:
    def test_ids_that_are_random_are_their_own_key(self) -> None:
        assert session_key(f"gs_{UUID}") == f"00:session:{UUID}"
        assert launch_key(f"ls_{UUID}") == f"00:launch:{UUID}"

    @pytest.mark.parametrize(
        ("key", "partition", "kind"),
        [
            (session_key(f"gs_{UUID}"), "00", "session"),
            (launch_key(f"ls_{UUID}"), "00", "launch"),
            (ott_key(UUID), "00", "ott"),
            (seat_key(7, "cafe", "pc"), "07", "seat"),
            (server_key(255, "game", "server"), "ff", "server"),
            (account_key("cafe-1"), f"{partition_of('account', 'cafe-1'):02x}", "account"),
            (answer_key(16, "caller", "request"), "10", "answer"),
            (transfer_key(16, "topup/cafe-1/x"), "10", "topup"),
        ],
    )
    def test_every_key_begins_with_its_partition_and_names_its_kind(self, key: str, partition: str, kind: str) -> None:
        assert key.startswith(f"{partition}:{kind}:")
        assert kind_of(key) == kind

    @pytest.mark.parametrize(
        ("key", "kind"),
        [
            (nonce_key("launcher", "nonce"), "nonce"),
            (claim_key("me", "request"), "claim"),
            (signature_key("me", "hex"), "signature"),
        ],
    )
    def test_what_belongs_to_no_cafe_is_spread_by_its_hash(self, key: str, kind: str) -> None:
        assert re.fullmatch(rf"([0-9a-f]{{2}}):{kind}:\1[0-9a-f]{{30}}", key)

    def test_an_ott_cannot_be_read_from_its_key(self) -> None:
        assert re.fullmatch(f"00:ott:{DIGEST}", ott_key(UUID))
        assert UUID[3:8] not in ott_key(UUID)

    @REPEATABLE
    @given(st.sampled_from([SESSION_PREFIX, LAUNCH_PREFIX, ""]), PARTITIONS, RANDOM, TEXTS, TEXTS)
    def test_no_two_kinds_share_a_key_whatever_they_are_made_of(
        self, prefix: str, partition: int, random: bytes, one: str, other: str
    ) -> None:
        made = make_uuid(partition, random)
        keys = [
            session_key(SESSION_PREFIX + made),
            launch_key(LAUNCH_PREFIX + made),
            ott_key(made),
            seat_key(partition, one, other),
            server_key(partition, one, other),
            account_key(prefix + made),
            nonce_key(one, other),
            claim_key(one, other),
            signature_key(one, other),
            answer_key(partition, one, other),
            transfer_key(partition, one),
        ]
        assert len(set(keys)) == len(keys)
        assert len({kind_of(key) for key in keys}) == len(keys)
        # Nor do the hashes alone: whoever sees one learns nothing about another.
        assert len({key.split(":")[2] for key in keys[2:]}) == len(keys) - 2

    @REPEATABLE
    @given(st.lists(st.tuples(TEXTS, TEXTS), min_size=2, max_size=2, unique=True))
    @pytest.mark.parametrize(
        "key",
        [
            lambda one, other: seat_key(0, one, other),
            lambda one, other: server_key(0, one, other),
            lambda one, other: answer_key(0, one, other),
            nonce_key,
            claim_key,
            signature_key,
            request_id_of,
            lambda one, other: transfer_id_of("cafe-1", one, other),
        ],
        ids=["seat", "server", "answer", "nonce", "claim", "signature", "request", "transfer"],
    )
    def test_no_two_pairs_of_parts_share_a_key(self, key: Callable[[str, str], str], pairs: list[tuple[str, str]]) -> None:
        assert key(*pairs[0]) != key(*pairs[1])

    def test_a_transfer_is_named_after_its_account_and_the_request_that_caused_it(self) -> None:
        assert re.fullmatch(f"topup/cafe-1/{DIGEST}", transfer_id_of("cafe-1", "operator", "request"))
        assert transfer_id_of("cafe-1", "operator", "request") == transfer_id_of("cafe-1", "operator", "request")
        assert transfer_id_of("cafe-1", "operator", "request") != transfer_id_of("cafe-2", "operator", "request")

    def test_where_a_part_ends_counts(self) -> None:
        assert seat_key(0, "ab", "c") != seat_key(0, "a", "bc")
        assert seat_key(0, "a1:b", "") != seat_key(0, "a", "b")
        assert seat_key(0, "", "ab") != seat_key(0, "ab", "")

    def test_the_same_seat_lies_in_each_partition_apart(self) -> None:
        assert seat_key(1, "cafe", "pc")[2:] == seat_key(2, "cafe", "pc")[2:]
        assert seat_key(1, "cafe", "pc") != seat_key(2, "cafe", "pc")

    def test_keys_stay_as_they_are_because_records_lie_under_them(self) -> None:
        assert account_key("cafe-1") == "bf:account:5b9d9b850bf8e955ffd9b37ca8b46ffb"
        assert ott_key(UUID) == "00:ott:723ac23ef6975764808d610494c31f9f"
