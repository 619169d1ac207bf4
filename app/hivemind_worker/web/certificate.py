"""The worker's own certificate for access from other computers: made here, kept to its owner.

Nobody signs it: who connects compares the fingerprint with the one that `hivemind-worker dashboard
--fingerprint` shows, once. It is made anew when it is about to end or does not cover a name in use.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hivemind_worker.owned_file import read_owned, write_owned

CERTIFICATE, KEY = "web-certificate.pem", "web-key.pem"
LASTS = datetime.timedelta(days=820)  # some systems refuse certificates that last longer than 825 days
RENEWED_BEFORE = datetime.timedelta(days=30)
COMMON_NAME = "HiveMind Worker"


def tls_context(folder: Path, names: Sequence[str], now: datetime.datetime) -> tuple[ssl.SSLContext, str]:
    """What a TLS server needs, with a certificate for these names and addresses; and its fingerprint. Blocks.

    Raises:
        OSError: the files cannot be written or read.
    """
    content = read_owned(folder / CERTIFICATE)
    if content is None or read_owned(folder / KEY) is None or not _serves(content, names, now):
        content = _make(folder, names, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context, fingerprint_of(content)


def kept_fingerprint(folder: Path) -> str | None:
    """The fingerprint of the kept certificate, or None when there is none."""
    content = read_owned(folder / CERTIFICATE)
    try:
        return None if content is None else fingerprint_of(content)
    except ValueError:
        return None


def fingerprint_of(pem: bytes) -> str:
    """SHA-256 of a certificate, as browsers show it.

    Raises:
        ValueError: there is no certificate in it.
    """
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _serves(pem: bytes, names: Sequence[str], now: datetime.datetime) -> bool:
    """Whether a kept certificate lasts, and covers all names."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    lasts = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEWED_BEFORE
    return lasts and set(_general_names(names)) <= set(found)


def _make(folder: Path, names: Sequence[str], now: datetime.datetime) -> bytes:
    """A new key and certificate, both for their owner alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LASTS)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    content = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_owned(folder / KEY, private)
    write_owned(folder / CERTIFICATE, content)
    return content


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found
