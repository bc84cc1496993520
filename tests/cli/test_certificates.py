import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from playclock.cli.addresses import Address
from playclock.cli.certificates import TlsFiles, UnfitCertificate, identify
from playclock.cli.engines import Trust, remote_engine
from playclock.cli.renewal import ServerIdentity

from tests.authority import LONG_AGO, Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.pair("server")


def files_of(pair: Pair, client_ca: Path | None = None) -> TlsFiles:
    return TlsFiles(pair.certificate, pair.key, client_ca)


def refusal(pair: Pair, client_ca: Path | None = None) -> str:
    """Return why files are refused, without the folder in which they lie."""
    with pytest.raises(UnfitCertificate) as caught:
        identify(files_of(pair, client_ca))
    assert "PRIVATE" not in str(caught.value)
    return str(caught.value).replace(f"{pair.certificate.parent}/", "")


def test_a_pair_that_fits_is_taken_with_the_time_until_when(pair: Pair) -> None:
    assert "GMT" in identify(files_of(pair)).not_after


def test_one_signed_by_itself_is_taken_too(tmp_path: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    since, until = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    unsigned = x509.CertificateBuilder(name, name, key.public_key(), 1, since, until)
    pair = Pair(tmp_path, "self")
    pair.certificate.write_bytes(unsigned.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert identify(files_of(pair)).not_after


class TestWhatIsRefused:
    def test_a_key_of_another_certificate(self, authority: Authority, pair: Pair) -> None:
        authority.pair("other").key.replace(pair.key)
        assert refusal(pair) == "server.key is not the private key of the certificate in server.pem"

    def test_a_certificate_that_is_over(self, authority: Authority) -> None:
        pair = authority.pair("old", not_after=LONG_AGO)
        assert refusal(pair) == "old.pem cannot serve: certificate has expired"

    def test_a_file_that_is_not_there(self, pair: Pair) -> None:
        pair.key.unlink()
        assert refusal(pair) == "server.key cannot be read: No such file or directory"

    @pytest.mark.parametrize("content", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"])
    def test_what_is_no_certificate(self, pair: Pair, content: bytes) -> None:
        pair.certificate.write_bytes(content)
        assert "hold" in refusal(pair)
        assert "in PEM" in refusal(pair)

    def test_a_key_with_a_passphrase_is_not_asked_for(self, pair: Pair) -> None:
        key = load_pem_private_key(pair.key.read_bytes(), None)
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
        assert refusal(pair) == "server.key is encrypted, and nobody is there to type its passphrase: store it without"

    def test_clients_of_an_authority_that_is_none(self, authority: Authority, pair: Pair, tmp_path: Path) -> None:
        (tmp_path / "empty.pem").write_bytes(b"")
        leaf = authority.pair("leaf").certificate
        assert refusal(pair, leaf) == "leaf.pem holds no certificate of an authority"
        assert refusal(pair, tmp_path / "empty.pem") == "empty.pem holds no certificate in PEM"


class TestRenewal:
    @pytest.fixture
    def identity(self, pair: Pair, caplog: pytest.LogCaptureFixture) -> ServerIdentity:
        caplog.set_level(logging.INFO)
        return ServerIdentity(files_of(pair))

    def test_what_is_new_is_taken_and_told(
        self, identity: ServerIdentity, authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = identity._identity
        assert identity._news_for_grpc() is None
        identity.look()
        assert identity._identity is before
        pair.write(authority.issue())
        identity.look()
        assert identity._identity.contents != before.contents
        assert identity._news_for_grpc() is not None
        assert identity._news_for_grpc() is None
        assert [record.message for record in caplog.records] == ["a new certificate is in force"]

    def test_what_is_unfit_is_told_once_and_not_while_it_may_only_be_half_of_it(
        self, identity: ServerIdentity, authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture
    ) -> None:
        before, renewed = identity._identity, authority.issue()
        pair.certificate.write_bytes(renewed.cert_chain_pems[0].bytes())
        identity.look()
        assert caplog.records == []
        for _ in range(3):
            identity.look()
        assert identity._identity is before
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        pair.write(renewed)
        identity.look()
        assert identity._identity is not before

    def test_files_that_go_away_are_told_once_and_are_found_again(
        self, identity: ServerIdentity, authority: Authority, pair: Pair, caplog: pytest.LogCaptureFixture
    ) -> None:
        pair.certificate.unlink()
        for _ in range(3):
            identity.look()
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        pair.write(authority.issue())
        identity.look()
        assert caplog.records[-1].message == "a new certificate is in force"

    def test_a_key_that_everybody_may_read_is_worth_a_warning(self, pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
        ServerIdentity(files_of(pair))
        assert caplog.records == []
        pair.key.chmod(0o644)
        ServerIdentity(files_of(pair))
        assert [record.message for record in caplog.records] == ["everybody on this machine may read the private key"]


def test_an_engine_on_another_machine_is_called_by_tls_unless_told_otherwise() -> None:
    there, here = Address("192.0.2.1", 50051), Address("127.0.0.1", 50051)
    assert remote_engine(there, ca=None, pair=None, insecure=False).trust == Trust(None, None, None)
    assert remote_engine(there, ca=None, pair=None, insecure=True).trust is None
    assert remote_engine(here, ca=None, pair=None, insecure=False).trust is None
