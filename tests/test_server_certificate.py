"""The certificate that is served, exchanged while connections are open."""

import contextlib
import socket
import ssl
import threading

import pytest
import trustme

from tests import webhook_server
from tests.webhook_server import authority, client, connect, post, review, trusting, use
from webhook.server import Certificate


@pytest.fixture(scope="module")
def running():
    with webhook_server.running() as server:
        yield server


@pytest.fixture
def server(running):
    use(running.certificate, leaf())
    return running


def leaf(key_type=trustme.KeyType.ECDSA, of=authority):
    return of.issue_cert("127.0.0.1", key_type=key_type)


def pems(of):
    return b"".join(pem.bytes() for pem in of.cert_chain_pems), of.private_key_pem.bytes()


def served(server, context=None):
    with connect(server.port, context) as connection:
        return connection.getpeercert(binary_form=True)


def der(of):
    return ssl.PEM_cert_to_DER_cert(of.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize("first", trustme.KeyType)
@pytest.mark.parametrize("second", trustme.KeyType)
def test_new_handshakes_get_the_new_one_whatever_its_key(server, first, second):
    for one in (leaf(first), leaf(second)):
        use(server.certificate, one)
        assert served(server) == der(one)


def test_a_connection_that_was_open_goes_on(server):
    with contextlib.closing(client(server.port)) as connection:
        assert post(connection, review()).patch
        local = connection.sock.getsockname()
        use(server.certificate, leaf(of=trustme.CA()))
        assert post(connection, review()).patch
        assert connection.sock.getsockname() == local
    with pytest.raises(ssl.SSLCertVerificationError):
        server.post(review())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_from_before_is_not_resumed_with_the_former_certificate(server, version):
    context = trusting(authority)
    context.minimum_version = context.maximum_version = version
    with connect(server.port, context) as connection:
        session = connection.session
    new = leaf()
    use(server.certificate, new)
    with (
        socket.create_connection(("127.0.0.1", server.port), 20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as connection,
    ):
        assert not connection.session_reused
        assert connection.getpeercert(binary_form=True) == der(new)


def test_a_caller_without_a_server_name_gets_it_as_well(server):
    context = trusting(authority)
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", server.port), 20) as plain,
        context.wrap_socket(plain) as connection,
    ):
        assert connection.getpeercert()


def test_tls_before_1_2_is_not_spoken(server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server.port, context)


def encrypted(key):
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # for one case

    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )


@pytest.mark.parametrize(
    "broken",
    [
        lambda chain, _: (chain, leaf().private_key_pem.bytes()),
        lambda chain, key: (chain[: len(chain) // 2], key),
        lambda chain, key: (chain, key[: len(key) // 2]),
        lambda _, key: (b"", key),
        lambda chain, _: (chain, b""),
        lambda chain, key: (key, chain),
        lambda chain, key: (chain, encrypted(key)),
        lambda *_: (b"\xff\x00", b"\xff\x00"),
    ],
    ids=["other-key", "half-chain", "half-key", "no-chain", "no-key", "swapped", "encrypted-key", "binary"],
)
def test_a_pair_that_does_not_fit_changes_nothing(server, broken):
    before = served(server)
    with pytest.raises(ssl.SSLError):
        server.certificate.use(*broken(*pems(leaf())))
    assert served(server) == before


def test_a_certificate_that_never_fitted_is_not_present():
    certificate = Certificate()
    with pytest.raises(ssl.SSLError):
        certificate.use(b"", b"")
    assert not certificate.present


def test_exchanges_from_another_thread_cost_no_call(server):
    enough = threading.Event()
    pair = pems(leaf()), pems(leaf(trustme.KeyType.RSA))

    def exchange():
        while not enough.is_set():
            for one in pair:
                server.certificate.use(*one)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        assert all(server.post(review()).patch for _ in range(30))
    finally:
        enough.set()
        thread.join()


def test_waiting_for_it_ends_once_and_at_once_where_it_is_there():
    woken = []
    certificate = Certificate()
    certificate.when_present(lambda: woken.append("waited"))
    assert woken == []
    use(certificate, leaf())
    use(certificate, leaf())
    certificate.when_present(lambda: woken.append("there"))
    assert woken == ["waited", "there"]
