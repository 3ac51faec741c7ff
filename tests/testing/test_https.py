from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client
from multimodel.testing import Authority, FaultyVendor, faults

from .raw import SILENCE, connect, read, request


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def secure(authority: Authority) -> Iterator[FaultyVendor]:
    with FaultyVendor(answer="Yes.", authority=authority) as vendor:
        yield vendor


def handshake(vendor: FaultyVendor, patience: float = 10.0, host: str = "127.0.0.1") -> ssl.SSLSocket:
    assert vendor.authority is not None
    return vendor.authority.client_context().wrap_socket(connect(vendor, patience), server_hostname=host)


def ask(vendor: FaultyVendor, **options: object) -> bytes:
    with handshake(vendor) as connection:
        connection.sendall(request(**options))  # type: ignore[arg-type]
        return read(connection).data


def test_its_urls_say_https(secure: FaultyVendor):
    start = f"https://127.0.0.1:{secure.port}/"
    assert all(url.startswith(start) for url in (secure.openai_url, secure.dashscope_url, secure.compatible_url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("stream", [False, True])
def test_who_trusts_its_authority_is_answered(secure: FaultyVendor, host: str, stream: bool):
    with handshake(secure, host=host) as connection:
        for _ in range(3):
            connection.sendall(request(stream=stream))
            assert b"Yes." in read(connection).body
    assert secure.connections.total == 1


def test_others_are_not(secure: FaultyVendor):
    with pytest.raises(ssl.SSLCertVerificationError):
        Authority().client_context().wrap_socket(connect(secure), server_hostname="127.0.0.1")
    assert b"Yes." in ask(secure)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.tls_expired(), "certificate has expired"),
        (faults.tls_wrong_host(), "IP address mismatch"),
        (faults.tls_untrusted(), "unable to get local issuer certificate"),
    ],
)
def test_a_bad_certificate_has_one_flaw_and_can_be_mended(secure: FaultyVendor, fault: faults.Fault, words: str):
    secure.fault = fault
    with pytest.raises(ssl.SSLCertVerificationError, match=words):
        handshake(secure)
    secure.fault = None
    assert b"Yes." in ask(secure)
    assert secure.requests == 1


def test_http_on_the_port_of_https_is_no_tls(secure: FaultyVendor):
    secure.fault = faults.tls_missing()
    with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number|record layer"):
        handshake(secure)
    with connect(secure) as plain:
        plain.sendall(request())
        assert read(plain).status == 200


def test_a_deaf_vendor_stalls_the_handshake(secure: FaultyVendor):
    secure.fault = faults.deaf()
    with pytest.raises(TimeoutError):
        handshake(secure, SILENCE)
    assert secure.connections.unread == 1


@pytest.mark.parametrize(
    "fault",
    [faults.cut(after=2), faults.reset(after=2), faults.stall(after=2), faults.silent(), faults.tiny_events(2000)],
)
def test_other_faults_work_under_tls_too(secure: FaultyVendor, fault: faults.Fault):
    secure.script([fault])
    with handshake(secure, SILENCE) as connection:
        connection.sendall(request(stream=True))
        read(connection)
    assert b"Yes." in ask(secure)
    assert [entry.fault for entry in secure.log] == [fault.name, None]


def test_a_bad_certificate_needs_https():
    with FaultyVendor() as vendor, pytest.raises(ValueError, match="needs a vendor that speaks https"):
        vendor.fault = faults.tls_expired()


def test_closing_ends_a_handshake_that_never_came(secure: FaultyVendor):
    with connect(secure) as silent:
        assert secure.wait_until(lambda: secure.connections.total == 1)
        secure.close()
        silent.settimeout(10)
        assert _ended(silent)


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("way", ["blocking", "asyncio"])
def test_a_client_trusts_the_authority_that_its_policy_names(secure: FaultyVendor, authority: Authority, tmp_path, way):
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.pem)
    house = {"profile": "openai", "base_url": secure.openai_url, "api_key": "k", "ca_file": str(file)}
    policy = {"providers": {"house": house}, "routes": {"chat": {"chain": ["house:m"]}}}

    async def ask() -> str:
        async with AsyncClient(policy) as client:
            return (await client.complete("chat", "Hi")).text

    if way == "asyncio":
        assert asyncio.run(ask()) == "Yes."
    else:
        with Client(policy) as client:
            assert client.complete("chat", "Hi").text == "Yes."


def test_a_file_without_certificates_disables_its_target_and_says_so(secure: FaultyVendor, tmp_path):
    for name in ("nothing.pem", "missing.pem"):
        (tmp_path / "nothing.pem").write_text("nothing")
        house = {"profile": "openai", "base_url": secure.openai_url, "api_key": "k", "ca_file": str(tmp_path / name)}
        with Client({"providers": {"house": house}, "routes": {"chat": {"chain": ["house:m"]}}}) as client:
            with pytest.raises(AllTargetsFailedError) as caught:
                client.complete("chat", "Hi")
        (skip,) = caught.value.report.skipped
        assert "`ca_file`" in skip.detail
        assert secure.requests == 0
