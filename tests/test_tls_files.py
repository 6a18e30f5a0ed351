import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.tls_cluster import handshake, logger_into
from webhook.server.certificate import Certificate
from webhook.tls import certificates
from webhook.tls.files import FilesSource

NAMES = certificates.service_names("grace", "ops")
NOW = datetime.now(UTC)
AUTHORITY = certificates.new_authority(timedelta(days=9), NOW)


@pytest.fixture
def certificate():
    return Certificate()


@pytest.fixture
def lines():
    return []


@pytest.fixture
def ends():
    return []


@pytest.fixture
def source(tmp_path, certificate, lines, ends):
    return FilesSource(tmp_path, certificate.use, ends.append, logger_into(lines))


def leaf(days=3):
    return certificates.new_leaf(AUTHORITY, NAMES, timedelta(days=days), NOW)


def write(folder, pair):
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(pair.certificate_pem)
    (folder / "tls.key").write_bytes(pair.key_pem)


def mount(folder, pair, name):
    """As the kubelet does it: a new folder, a link to it, the link renamed over `..data`, links to files in it."""
    write(folder / name, pair)
    (folder / "..new").symlink_to(name)
    (folder / "..new").rename(folder / "..data")
    for file in ("tls.crt", "tls.key"):
        if not (folder / file).is_symlink():
            (folder / file).symlink_to(f"..data/{file}")


def presents(certificate, pair):
    return handshake(certificate, AUTHORITY.certificate_pem) == ssl.PEM_cert_to_DER_cert(pair.certificate_pem.decode())


def test_what_is_there_is_used_once(tmp_path, source, certificate, ends, lines):
    pair = leaf()
    write(tmp_path, pair)
    source.look()
    source.look()
    assert source.lacks() == ()
    assert presents(certificate, pair)
    assert ends == [pair.certificate.not_valid_after_utc.timestamp()]
    assert [line["event"] for line in lines] == ["certificate in use"]


def test_the_kubelets_swap_is_followed(tmp_path, source, certificate):
    first, second = leaf(), leaf()
    mount(tmp_path, first, "..one")
    source.look()
    assert presents(certificate, first)
    mount(tmp_path, second, "..two")
    source.look()
    assert presents(certificate, second)


def test_nothing_there_is_said_to_be_lacking_and_logged_once(tmp_path, source, lines):
    assert source.lacks() == (f"no certificate in {tmp_path}: not read yet",)
    source.look()
    source.look()
    assert source.lacks() == (f"no certificate in {tmp_path}: {tmp_path}/tls.crt: No such file or directory",)
    assert len(lines) == 1


@pytest.mark.parametrize("broken", ["mixed", "half"])
def test_a_broken_pair_keeps_the_one_in_use_and_is_logged_once(tmp_path, source, certificate, lines, broken):
    first, second = leaf(), leaf()
    write(tmp_path, first)
    source.look()
    lines.clear()
    text = second.certificate_pem
    (tmp_path / "tls.crt").write_bytes(text if broken == "mixed" else text[: len(text) // 2])
    for _ in range(3):
        source.look()
    assert presents(certificate, first)
    assert source.lacks() == ()
    assert [line["level"] for line in lines] == ["warning"]
    write(tmp_path, second)
    source.look()
    assert presents(certificate, second)


def test_files_that_vanish_keep_the_one_in_use_and_are_used_again_when_back(tmp_path, source, certificate, lines):
    pair = leaf()
    write(tmp_path, pair)
    source.look()
    (tmp_path / "tls.key").unlink()
    source.look()
    source.look()
    assert source.lacks() == ()
    write(tmp_path, pair)
    source.look()
    assert presents(certificate, pair)
    assert [line["event"] for line in lines] == [
        "certificate in use",
        "certificate files cannot be used",
        "certificate in use",
    ]


def test_a_pair_that_the_server_refuses_is_no_certificate(tmp_path, lines):
    def refuse(_certificate, _key):
        raise ssl.SSLError(1, "[SSL] ee key too small")

    source = FilesSource(tmp_path, refuse, lambda _end: None, logger_into(lines))
    write(tmp_path, leaf())
    source.look()
    assert "ee key too small" in source.lacks()[0]


def test_a_certificate_that_has_ended_is_lacking(tmp_path, source):
    write(tmp_path, leaf(days=1))
    source.look()
    source.now = lambda: NOW + timedelta(days=2)
    assert source.lacks()[0].startswith("the serving certificate ended at ")


def later_leaf(begins_in=timedelta(days=1)):
    """One that is not valid yet: what is issued begins an hour earlier."""
    authority = certificates.new_authority(timedelta(days=30), NOW - timedelta(days=9))
    return certificates.new_leaf(authority, NAMES, timedelta(days=3), NOW + begins_in + timedelta(hours=1))


def test_a_certificate_that_is_not_valid_yet_is_no_readiness_and_is_used_when_its_time_comes(
    tmp_path, source, certificate, lines
):
    write(tmp_path, later_leaf())
    for minutes in range(3):
        source.now = lambda minutes=minutes: NOW + timedelta(minutes=minutes)
        source.look()
    (problem,) = source.lacks()
    assert problem.startswith(f"no certificate in {tmp_path}: the certificate is not valid before ")
    assert not certificate.present
    assert not source.in_step()
    assert [line["event"] for line in lines] == ["certificate files cannot be used"]
    source.now = lambda: NOW + timedelta(days=1, minutes=1)
    source.look()
    assert source.lacks() == ()
    assert source.in_step()
    assert certificate.present


@pytest.mark.parametrize("begins_in_days", [1, -4.5], ids=["not-yet", "ended"])
def test_a_pair_whose_time_has_not_come_or_is_over_never_replaces_one_that_is_accepted(
    tmp_path, source, certificate, begins_in_days
):
    first = leaf()
    write(tmp_path, first)
    source.look()
    write(tmp_path, later_leaf(timedelta(days=begins_in_days)))
    source.look()
    assert presents(certificate, first)
    assert source.lacks() == ()
    assert not source.in_step()
    (note,) = source.notes()
    assert note.startswith("the certificate files cannot be used: the certificate ")
    write(tmp_path, second := leaf())
    source.look()
    assert presents(certificate, second)
    assert source.notes() == ()
    assert source.in_step()


def test_an_issuer_that_is_not_valid_yet_counts_as_the_leaf_does(tmp_path, source, certificate):
    """A client verifies the whole chain."""
    pair = leaf()
    write(tmp_path, pair)
    issuer = certificates.new_authority(timedelta(days=30), NOW + timedelta(days=1, hours=1))
    (tmp_path / "tls.crt").write_bytes(pair.certificate_pem + issuer.certificate_pem)
    source.look()
    assert "an issuer's certificate is not valid before " in source.lacks()[0]
    assert not certificate.present
    ended = certificates.new_authority(timedelta(days=1), NOW - timedelta(days=2))
    (tmp_path / "tls.crt").write_bytes(pair.certificate_pem + ended.certificate_pem)
    source.look()
    assert source.lacks() == ()


def test_a_clock_that_is_set_back_after_the_certificate_came_is_lacking_until_it_is_right(tmp_path, source):
    write(tmp_path, leaf())
    source.look()
    source.now = lambda: NOW - timedelta(days=3)
    (problem,) = source.lacks()
    assert problem.startswith("the serving certificate is not valid before ")
    assert problem.endswith(f"; the clock here says {NOW - timedelta(days=3):%Y-%m-%d %H:%M}Z")
    source.look()
    source.now = lambda: NOW
    source.look()
    assert source.lacks() == ()


def test_files_that_vanish_are_told_by_a_ready_server(tmp_path, source):
    write(tmp_path, leaf())
    source.look()
    assert source.notes() == ()
    (tmp_path / "tls.key").unlink()
    source.look()
    assert source.lacks() == ()
    assert not source.in_step()
    assert source.notes() == (f"the certificate files cannot be used: {tmp_path}/tls.key: No such file or directory",)


def test_the_loop_follows_changes_until_it_is_told_to_stop(tmp_path, source, certificate):
    stop = threading.Event()
    source.interval_seconds = 0.01
    thread = threading.Thread(target=source.run, args=(stop,), daemon=True)
    thread.start()
    try:
        pair = leaf()
        mount(tmp_path, pair, "..one")
        end = time.monotonic() + 60
        while source.lacks():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert presents(certificate, pair)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
