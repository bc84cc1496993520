"""The life of a credential: alive until its time is over or it is revoked, and never again after that."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.core.credentials import (
    ALIVE_MAX,
    LIFE_MS_MAX,
    OVERLAP_MS_MAX,
    PREFIXES,
    REMEMBERED_MS,
    Credential,
    Named,
    create,
    digest_of,
    expiring,
    is_alive,
    is_forgotten,
    make_secret,
    newest_first,
    overlapped,
    reconcile,
    revoked,
)
from playclock.core.signing.webhooks import webhook_key
from playclock.errors import BadRequest, KeyInactive, TooManyKeys

MS = st.integers(0, 1 << 42)
CREDENTIALS = st.builds(
    Credential,
    id=st.from_regex("key_[0-9a-f]{16}", fullmatch=True),
    owner=st.sampled_from(["launcher/a", "launcher/b"]),
    created_ms=MS,
    secret=st.sampled_from([b"one", b"two", b"three"]),
    expires_ms=st.none() | MS,
    revoked_ms=st.none() | MS,
    is_provisioned=st.booleans(),
)


def credential(**changed: object) -> Credential:
    return Credential(**{"id": "key_1", "owner": "game/g", "created_ms": 0, "digest": digest_of("s"), **changed})  # type: ignore[arg-type]


class TestLife:
    def test_it_ends_in_the_millisecond_of_its_end(self) -> None:
        assert is_alive(credential(expires_ms=1_000), 999)
        assert not is_alive(credential(expires_ms=1_000), 1_000)

    def test_without_an_end_it_lives_until_it_is_revoked(self) -> None:
        assert is_alive(credential(), 1 << 60)
        assert not is_alive(revoked(credential(), now_ms=5), 5)
        assert not is_alive(revoked(credential(), now_ms=5), 4), "a process whose clock is behind must not believe it either"

    @given(CREDENTIALS, MS, MS, st.none() | st.integers(1, LIFE_MS_MAX))
    def test_what_has_ended_never_lives_again(self, held: Credential, now_ms: int, later_ms: int, life_ms: int | None) -> None:
        if is_alive(held, now_ms):
            return
        with pytest.raises(KeyInactive):
            overlapped(held, now_ms=now_ms, overlap_ms=0)
        with pytest.raises(KeyInactive):
            expiring(held, now_ms=now_ms, life_ms=life_ms)
        assert not is_alive(revoked(held, now_ms=now_ms), later_ms)

    @given(CREDENTIALS, MS, st.integers(0, OVERLAP_MS_MAX), MS)
    def test_an_overlap_never_makes_it_live_longer(self, held: Credential, now_ms: int, overlap_ms: int, when_ms: int) -> None:
        if not is_alive(held, now_ms):
            return
        ending = overlapped(held, now_ms=now_ms, overlap_ms=overlap_ms)
        assert is_alive(ending, when_ms) == (is_alive(held, when_ms) and when_ms < now_ms + overlap_ms)

    @pytest.mark.parametrize("overlap_ms", [-1, OVERLAP_MS_MAX + 1])
    def test_an_overlap_has_bounds(self, overlap_ms: int) -> None:
        with pytest.raises(BadRequest):
            overlapped(credential(), now_ms=0, overlap_ms=overlap_ms)

    @pytest.mark.parametrize("life_ms", [-1, 0, LIFE_MS_MAX + 1])
    def test_a_life_has_bounds(self, life_ms: int) -> None:
        with pytest.raises(BadRequest):
            expiring(credential(), now_ms=0, life_ms=life_ms)

    def test_the_first_revocation_counts(self) -> None:
        once = revoked(credential(), now_ms=5)
        assert revoked(once, now_ms=9) is once

    def test_a_generated_one_is_forgotten_long_after_its_end_and_a_provisioned_one_never(self) -> None:
        ended = credential(expires_ms=10, revoked_ms=7)
        assert not is_forgotten(ended, 7 + REMEMBERED_MS - 1)
        assert is_forgotten(ended, 7 + REMEMBERED_MS)
        assert not is_forgotten(credential(revoked_ms=7, is_provisioned=True), 1 << 60)
        assert not is_forgotten(credential(), 1 << 60)


class TestCreation:
    def make(self, held: list[Credential], *, life_ms: int | None = None, now_ms: int = 0) -> Credential:
        return create(held, "game/g", "s", credential_id="key_new", now_ms=now_ms, life_ms=life_ms, label="")

    def test_of_an_api_key_only_the_hash_is_kept_and_of_what_signs_the_secret(self) -> None:
        made = self.make([])
        assert (made.digest, made.secret) == (digest_of("s"), b"")
        made = create([], "launcher/l", "s", credential_id="key_new", now_ms=0, life_ms=None, label="")
        assert (made.digest, made.secret) == (b"", b"s")

    def test_only_so_many_are_alive(self) -> None:
        alive = [credential(id=f"key_{number}") for number in range(ALIVE_MAX - 1)]
        ended = [credential(id="key_e", expires_ms=5), credential(id="key_r", revoked_ms=1)]
        assert is_alive(self.make([*alive, *ended], now_ms=5), 5)
        with pytest.raises(TooManyKeys):
            self.make([*alive, *ended], now_ms=4)

    @pytest.mark.parametrize("kind", PREFIXES)
    def test_a_secret_has_256_bits_and_a_prefix_that_scanners_know(self, kind: str) -> None:
        secret = make_secret(f"{kind}/x", bytes(range(200, 232)))
        assert secret.startswith(PREFIXES[kind])
        text = secret.removeprefix(PREFIXES[kind])
        padded = text + "=" * (-len(text) % 4)
        decode = base64.b64decode if kind == "match_client" else base64.urlsafe_b64decode
        assert decode(padded) == bytes(range(200, 232))

    def test_a_match_client_can_sign_with_its_own(self) -> None:
        assert webhook_key(make_secret("match_client/m", bytes(32)).encode()) == bytes(32)

    def test_neither_secret_nor_hash_is_shown(self) -> None:
        shown = repr(credential(secret=b"the-secret", digest=b"the-digest")) + repr(Named("launcher/l", secret=b"the-secret"))
        assert "the-" not in shown


class TestReconciling:
    @given(
        st.lists(CREDENTIALS, max_size=6, unique_by=lambda held: (held.owner, held.secret)),
        st.lists(st.builds(Named, st.just("launcher/a"), secret=st.sampled_from([b"one", b"two", b"three"])), max_size=4),
        MS,
    )
    def test_a_file_brings_nothing_back_and_takes_nothing_of_an_operators_away(
        self, held: list[Credential], named: list[Named], now_ms: int
    ) -> None:
        numbers = iter(range(100))
        changes = reconcile(held, named, ["launcher/a"], now_ms=now_ms, new_id=lambda: f"key_{next(numbers)}")
        after = [each for each in held if each not in changes.dropped] + list(changes.created)
        for each in held:
            if not is_alive(each, now_ms):
                same = [other for other in after if Named(each.owner, secret=each.secret).means(other)]
                assert not any(is_alive(other, now_ms) for other in same)
            if not each.is_provisioned or each.owner == "launcher/b" or each.revoked_ms is not None:
                assert each in after
        wanted = {each.secret for each in named}
        assert wanted <= {each.secret for each in after if each.owner == "launcher/a"}
        assert all(each.is_provisioned and each.secret not in wanted for each in changes.dropped)
        assert all(not is_alive(each, now_ms) and each.secret in wanted for each in changes.inactive)
        again = reconcile(after, named, ["launcher/a"], now_ms=now_ms, new_id=lambda: "key_more")
        assert (again.created, again.dropped) == ([], [])


def test_the_newest_comes_first() -> None:
    old, new, also_new = credential(id="key_1"), credential(id="key_3", created_ms=9), credential(id="key_2", created_ms=9)
    assert newest_first([old, new, also_new]) == (also_new, new, old)
