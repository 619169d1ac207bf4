"""The pool's own certificates: an authority that only its workers trust, and those of its servers."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LASTS = datetime.timedelta(days=3650)
AGO = datetime.timedelta(days=2)  # clocks differ, by hours where a time zone was set wrongly


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


def new_authority(name: str, now: datetime.datetime) -> Certified:
    """A certificate that may vouch for servers, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begun(name, key, now).issuer_name(_name(name))
    usage = x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    built = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return _pem(built.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)


def new_server(authority: Certified, names: Sequence[str], now: datetime.datetime) -> Certified:
    """A server's certificate for these names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    built = (
        _begun(names[0], key, now)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
    )
    return _pem(built.sign(issuer_key, hashes.SHA256()), key)


def _begun(name: str, key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - AGO)
        .not_valid_after(now + LASTS)
        .add_extension(identifier, critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certified:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certified(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(), key=private.decode()
    )
