"""A certificate authority of the tests, and servers that it vouches for."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_SPAN = timedelta(days=1)


class Authority:
    """An authority as people make them at home: its certificate says no more than it must."""

    def __init__(self, name: str = "an authority of the tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        unsigned = _unsigned(self._name, self._name, self._key.public_key())
        certificate = unsigned.add_extension(constraints, critical=True)
        self.pem = _pem(certificate.sign(self._key, hashes.SHA256()))

    def context(self, *hosts: str, days: int = 1) -> ssl.SSLContext:
        """Give what a server of these names or addresses needs; it is valid for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        unsigned = _unsigned(_named(hosts[0]), self._name, key.public_key(), days)
        certificate = unsigned.add_extension(names, critical=False)
        signed = certificate.sign(self._key, hashes.SHA256())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with tempfile.NamedTemporaryFile() as file:
            file.write(_pem(signed).encode() + secret)
            file.flush()
            context.load_cert_chain(file.name)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 1
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * _SPAN)
        .not_valid_after(now + days * _SPAN)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def write_certificate(certificate: Path, key: Path) -> None:
    """Write a certificate of this machine that vouches for itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = _named("127.0.0.1")
    names = x509.SubjectAlternativeName([_alternative("127.0.0.1")])
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    signed = (
        _unsigned(name, name, private.public_key())
        .add_extension(names, critical=False)
        .add_extension(constraints, critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
