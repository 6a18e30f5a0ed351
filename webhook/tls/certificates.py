"""X.509: issuing the CA and the serving certificate, and reading what others wrote. Pure, the time is handed in.

The only module that knows the `cryptography` package.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Certificate = x509.Certificate

BACKDATED = timedelta(hours=1)
"""Clocks of API servers may be behind ours."""
_SHARE_LEFT_WHEN_DUE = 3
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class UnsoundError(Exception):
    """A certificate or key that cannot be used; the message is one line."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: Certificate
    key: Any = field(compare=False, repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as TLS servers and Secrets want it."""
        return pem([self.certificate])

    @property
    def key_pem(self) -> bytes:
        """The key as TLS servers and Secrets want it."""
        written: bytes = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return written


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """The names under which a Service is called; API servers use the last."""
    return (service, f"{service}.{namespace}", f"{service}.{namespace}.svc")


def new_authority(life: timedelta, now: datetime) -> Pair:
    """A CA of its own name and key, so that several in one bundle cannot be taken for each other."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gracekeeper CA {secrets.token_hex(8)}")])
    builder = _certificate(name, name, key, now - BACKDATED, now + life)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return Pair(_signed(builder, key), key)


def new_leaf(authority: Pair, names: Sequence[str], life: timedelta, now: datetime) -> Pair:
    """A serving certificate for these names, valid within its CA's time."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = authority.certificate
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gracekeeper")])  # a name may exceed a CN's 64 bytes
    begin = max(now - BACKDATED, ca.not_valid_before_utc)
    builder = _certificate(subject, ca.subject, key, begin, leaf_end(ca, life, now))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = builder.add_extension(alternatives, critical=False)
    return Pair(_signed(builder, authority.key), key)


def leaf_end(authority: Certificate, life: timedelta, now: datetime) -> datetime:
    """When a leaf issued now would end: never after its CA."""
    return min(now + life, authority.not_valid_after_utc).replace(microsecond=0)


def due(certificate: Certificate, now: datetime) -> bool:
    """Whether a third of its life or less is left."""
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - now <= life / _SHARE_LEFT_WHEN_DUE


def ended(certificate: Certificate, now: datetime) -> bool:
    """Whether nobody accepts it any more."""
    return certificate.not_valid_after_utc <= now


def begun(certificate: Certificate, now: datetime) -> bool:
    """Whether it is valid already; before that nobody accepts it."""
    return certificate.not_valid_before_utc <= now


def in_time(certificate: Certificate, now: datetime) -> bool:
    """Whether it is valid already and has not ended."""
    return begun(certificate, now) and not ended(certificate, now)


def untimeliness(begin: datetime, end: datetime, now: datetime) -> str:
    """Return why nobody accepts a certificate of this time now, as a predicate; empty where its time is right."""
    if end <= now:
        return f"ended at {end:%Y-%m-%d %H:%M}Z"
    return f"is not valid before {begin:%Y-%m-%d %H:%M}Z" if now < begin else ""


def read_pair(certificate_pem: bytes, key_pem: bytes) -> Pair:
    """The first certificate of a PEM text and its key; UnsoundError where they are no pair."""
    certificates = read_bundle(certificate_pem)
    if not certificates:
        raise UnsoundError("holds no certificate")
    pair = Pair(certificates[0], _read_key(key_pem))
    if not _belong_together(pair.certificate, pair.key):
        raise UnsoundError("certificate and key do not fit")
    return pair


def read_authority(certificates: Iterable[Certificate], key_pem: bytes) -> Pair:
    """The CA among these certificates that the key belongs to; UnsoundError where there is none."""
    key = _read_key(key_pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UnsoundError("the key is no EC key")
    for certificate in certificates:
        if _belong_together(certificate, key) and _may_sign(certificate):
            return Pair(certificate, key)
    raise UnsoundError("no CA certificate fits the key")


def check_leaf(leaf: Certificate, authority: Certificate, names: Iterable[str]) -> None:
    """UnsoundError where API servers that trust the CA would refuse this leaf for one of the names."""
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise UnsoundError("the certificate was not issued by the CA") from error
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        stated = set(alternatives.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        stated = set()
    if absent := [name for name in names if name not in stated]:
        raise UnsoundError(f"the certificate is not for {', '.join(absent)}")


def read_bundle(text: bytes) -> tuple[Certificate, ...]:
    """The certificates of a PEM text, each once; what cannot be read is left out."""
    certificates: dict[Certificate, None] = {}
    for block in _CERTIFICATE.findall(text):
        try:
            certificates[x509.load_pem_x509_certificate(block)] = None
        except ValueError:
            continue
    return tuple(certificates)


def pem(certificates: Iterable[Certificate]) -> bytes:
    """These certificates as one PEM text."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begin.replace(microsecond=0),
        not_valid_after=end.replace(microsecond=0),
    ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _signed(builder: x509.CertificateBuilder, issuer_key: ec.EllipticCurvePrivateKey) -> Certificate:
    """Signed, and with the issuer's key identifier (its own for a CA that signs itself)."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return builder.add_extension(identifier, critical=False).sign(issuer_key, hashes.SHA256())


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_key(key_pem: bytes) -> Any:
    try:
        return serialization.load_pem_private_key(key_pem, None)
    except TypeError as error:
        raise UnsoundError("the key is encrypted") from error
    except (ValueError, UnsupportedAlgorithm) as error:  # its message quotes the input
        raise UnsoundError("the key is no private key in PEM") from error


def _belong_together(certificate: Certificate, key: Any) -> bool:
    try:
        same: bool = certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):  # a bundle may hold keys of kinds that we do not know
        return False
    return same


def _may_sign(certificate: Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
