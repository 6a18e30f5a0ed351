import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509

from tests.tls_cluster import handshake
from webhook.server.certificate import Certificate
from webhook.tls import certificates
from webhook.tls.certificates import UnsoundError

NAMES = certificates.service_names("grace", "ops")
NOW = datetime.now(UTC)
YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def authority():
    return certificates.new_authority(3 * YEAR, NOW)


@pytest.fixture(scope="module")
def leaf(authority):
    return certificates.new_leaf(authority, NAMES, YEAR, NOW)


def serving(leaf):
    served = Certificate()
    served.use(leaf.certificate_pem, leaf.key_pem)
    return served


@pytest.mark.parametrize("name", NAMES)
def test_a_strict_client_accepts_the_leaf_under_each_name(authority, leaf, name):
    handshake(serving(leaf), authority.certificate_pem, name)


def test_another_name_is_refused(authority, leaf):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving(leaf), authority.certificate_pem, "grace.other.svc")


def test_another_ca_is_told_apart_in_a_bundle_but_does_not_vouch(authority, leaf):
    other = certificates.new_authority(YEAR, NOW)
    assert other.certificate.subject != authority.certificate.subject
    handshake(serving(leaf), certificates.pem([other.certificate, authority.certificate]))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving(leaf), other.certificate_pem)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")
def test_the_openssl_command_accepts_it(authority, leaf, tmp_path):
    (tmp_path / "ca").write_bytes(authority.certificate_pem)
    (tmp_path / "leaf").write_bytes(leaf.certificate_pem)
    verify = "openssl verify -x509_strict -purpose sslserver -verify_hostname grace.ops.svc -CAfile ca leaf"
    done = subprocess.run(verify.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "leaf: OK\n", done.stderr


def test_the_ca_signs_leaves_only_and_the_leaf_nothing(authority, leaf):
    def constraints(pair):
        return pair.certificate.extensions.get_extension_for_class(x509.BasicConstraints)

    assert constraints(authority).critical
    assert constraints(authority).value == x509.BasicConstraints(ca=True, path_length=0)
    assert constraints(leaf).value == x509.BasicConstraints(ca=False, path_length=None)


def test_both_are_valid_from_an_hour_ago(authority, leaf):
    ago = (NOW - timedelta(hours=1)).replace(microsecond=0)
    assert (authority.certificate.not_valid_before_utc, leaf.certificate.not_valid_before_utc) == (ago, ago)
    assert leaf.certificate.not_valid_after_utc == (NOW + YEAR).replace(microsecond=0)


def test_a_leaf_never_outlives_its_ca(authority):
    late = NOW + timedelta(days=3 * 365 - 10)
    leaf = certificates.new_leaf(authority, NAMES, YEAR, late)
    assert leaf.certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_a_certificate_is_due_when_a_third_of_its_life_is_left(leaf):
    end = leaf.certificate.not_valid_after_utc
    third = (end - leaf.certificate.not_valid_before_utc) / 3
    assert not certificates.due(leaf.certificate, end - third - timedelta(seconds=1))
    assert certificates.due(leaf.certificate, end - third)


def test_a_pair_is_read_as_it_was_written(leaf):
    read = certificates.read_pair(leaf.certificate_pem, leaf.key_pem)
    assert read == leaf
    assert read.key_pem == leaf.key_pem


def test_the_key_is_not_shown(leaf):
    assert "key" not in repr(leaf)


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (b"", None, "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", None, "holds no certificate"),
        (None, b"nonsense", "no private key"),
        (None, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (None, certificates.new_authority(YEAR, NOW).key_pem, "do not fit"),
    ],
)
def test_what_is_no_pair_is_refused_with_a_reason(leaf, text, key, says):
    with pytest.raises(UnsoundError, match=says):
        certificates.read_pair(leaf.certificate_pem if text is None else text, key or leaf.key_pem)


def test_a_leaf_of_another_ca_or_of_other_names_is_refused(authority, leaf):
    with pytest.raises(UnsoundError, match="not issued by the CA"):
        certificates.check_leaf(leaf.certificate, certificates.new_authority(YEAR, NOW).certificate, NAMES)
    with pytest.raises(UnsoundError, match=r"not for new, new\.ops, new\.ops\.svc"):
        certificates.check_leaf(leaf.certificate, authority.certificate, certificates.service_names("new", "ops"))
    certificates.check_leaf(leaf.certificate, authority.certificate, NAMES)


def test_a_leaf_is_no_authority_and_the_authority_is_found_by_its_key(authority, leaf):
    with pytest.raises(UnsoundError, match="no CA"):
        certificates.read_authority([leaf.certificate], leaf.key_pem)
    other = certificates.new_authority(YEAR, NOW)
    pair = certificates.read_authority([other.certificate, authority.certificate], authority.key_pem)
    assert pair == authority


def test_a_bundle_is_read_without_duplicates_and_without_what_is_unreadable(authority):
    foreign = trustme.CA().cert_pem.bytes()
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    text = b"# a comment\r\n" + authority.certificate_pem + broken + foreign + authority.certificate_pem + b"rest"
    read = certificates.read_bundle(text)
    assert certificates.pem(read) == authority.certificate_pem + foreign
