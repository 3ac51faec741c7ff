"""Certificates for loopback, made on the spot."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, KeyUsage, Name

__all__ = ["Authority", "Flaw"]

Flaw = Literal["expired", "wrong_host", "untrusted"]
"""What is wrong with a server's certificate. ``untrusted``: another authority has signed it."""

_DAY = timedelta(days=1)


class Authority:
    """A certificate authority of one's own. A client has to trust ``pem`` to accept its servers.

    :raises ConfigurationError: ``cryptography`` is not installed.

    >>> Authority().pem.startswith(b"-----BEGIN CERTIFICATE-----")
    True
    """

    def __init__(self) -> None:
        try:
            from cryptography.hazmat.primitives.serialization import Encoding
        except ImportError:
            raise ConfigurationError(
                "certificates need `cryptography`, which is not installed", hint="pip install cryptography"
            ) from None
        self._name = _named("a stand-in authority")
        self._key = _new_key()
        self._certificate = self._sign(self._name, self._key)
        self.pem: bytes = self._certificate.public_bytes(Encoding.PEM)
        self._contexts: dict[Flaw | None, ssl.SSLContext] = {}

    def server_context(self, flaw: Flaw | None = None) -> ssl.SSLContext:
        """Return what a server on 127.0.0.1 and `localhost` shows, with one flaw or none."""
        if flaw not in self._contexts:
            self._contexts[flaw] = Authority().server_context() if flaw == "untrusted" else self._made(flaw)
        return self._contexts[flaw]

    def client_context(self) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.pem.decode())

    def _made(self, flaw: Flaw | None) -> ssl.SSLContext:
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = _new_key()
        certificate = self._sign(_named("a stand-in vendor"), key, flaw)
        text = certificate.public_bytes(Encoding.PEM)
        text += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:  # ssl reads keys from files only
            file = Path(folder, "key.pem")
            file.touch(mode=0o600)
            file.write_bytes(text)
            context.load_cert_chain(file)
        return context

    def _sign(self, name: Name, key: EllipticCurvePrivateKey, flaw: Flaw | None = None) -> Certificate:
        """Sign a server's certificate; with the authority's own name, the authority's."""
        from ipaddress import IPv4Address

        from cryptography import x509
        from cryptography.hazmat.primitives.hashes import SHA256

        own = name == self._name
        end = datetime.now(UTC) + (-_DAY if flaw == "expired" else _DAY)
        names: list[x509.GeneralName] = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
        if flaw == "wrong_host":
            names = [x509.DNSName("elsewhere.invalid")]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 3 * _DAY)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
            .add_extension(_usage(own=own), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(issuer, critical=False)
        )
        if not own:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, SHA256())


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _named(text: str) -> Name:
    from cryptography.x509 import Name, NameAttribute
    from cryptography.x509.oid import NameOID

    return Name([NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, own: bool) -> KeyUsage:
    from cryptography.x509 import KeyUsage

    return KeyUsage(
        digital_signature=not own,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=own,
        crl_sign=own,
        encipher_only=False,
        decipher_only=False,
    )
