"""Who cannot prove that he is the host hears nothing of the request."""

import datetime as dt
import socket
import ssl

import pytest
import trustme
from playclock.outgoing import OutgoingError, Request, TlsFailed
from playclock.outgoing.connecting import system_trust

from tests.outgoing.conftest import MakeClient
from tests.outgoing.receivers import HOST, answers, receiving, server_tls

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("another name", f"the certificate of {HOST} is not valid: Hostname mismatch"),
        ("another authority", f"the certificate of {HOST} is not valid: unable to get local issuer certificate"),
        ("over", f"the certificate of {HOST} is not valid: certificate has expired"),
        ("no TLS", f"no TLS with {HOST}"),
        ("TLS 1.1", f"no TLS with {HOST}"),
    ],
)
async def test_a_receiver_that_cannot_prove_who_it_is(
    make_client: MakeClient, authority: trustme.CA, case: str, message: str
) -> None:
    issuer = trustme.CA() if case == "another authority" else authority
    tls = server_tls(issuer, "hooks.example.org" if case == "another name" else HOST)
    if case == "over":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert(HOST, not_before=LONG_AGO, not_after=LONG_AGO + dt.timedelta(days=1)).configure_cert(tls)
    if case == "TLS 1.1":
        tls.set_ciphers("DEFAULT@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLS"):
            tls.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLS"):
            tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with receiving(_banner if case == "no TLS" else answers, None if case == "no TLS" else tls) as receiver:
        with pytest.raises(TlsFailed, match=f"^{message}") as raised:
            await make_client().send(Request(url=f"https://{HOST}:{receiver.port}/", body=b"secret"))
        assert (raised.value.is_sent, raised.value.status) == (False, None)
    assert not [request for request in receiver.requests if b"secret" in request]


@pytest.mark.parametrize(
    ("version", "reasons", "is_sent"),
    [
        (ssl.TLSVersion.TLSv1_2, {"TLS_FAILED"}, False),
        # The receiver looks at certificates after the handshake. What it says may be lost with the connection.
        (ssl.TLSVersion.TLSv1_3, {"TLS_FAILED", "BAD_RESPONSE"}, True),
    ],
)
async def test_a_receiver_that_wants_a_certificate(
    make_client: MakeClient, authority: trustme.CA, version: ssl.TLSVersion, reasons: set[str], *, is_sent: bool
) -> None:
    tls = server_tls(authority, HOST)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.maximum_version = version
    with receiving(answers, tls) as receiver, pytest.raises(OutgoingError) as raised:
        await make_client().send(Request(url=f"https://{HOST}:{receiver.port}/"))
    assert raised.value.reason in reasons
    assert (raised.value.is_sent, receiver.requests) == (is_sent, [])


async def test_a_certificate_for_all_names_of_a_domain(make_client: MakeClient, authority: trustme.CA) -> None:
    with receiving(answers, server_tls(authority, "*.example.com")) as receiver:
        assert (await make_client().send(Request(url=f"https://{HOST}:{receiver.port}/"))).status == 200


def test_the_systems_authorities_are_believed_names_are_checked_and_keys_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere")
    trust = system_trust()
    assert (trust.verify_mode, trust.check_hostname, trust.minimum_version) == (
        ssl.CERT_REQUIRED,
        True,
        ssl.TLSVersion.TLSv1_2,
    )
    assert trust.keylog_filename is None


def _banner(stream: socket.socket) -> None:
    stream.sendall(b"220 mail.example.com ESMTP\r\n")
