"""The configuration file while the server runs: the kubelet's swap, broken contents, and what needs a restart."""

import threading
import time

import pytest

from tests.tls_cluster import logger_into
from webhook.config.configuration_file import ConfigFile, parsed
from webhook.policy.configuration import Config, Mode, Supervise


@pytest.fixture
def lines():
    return []


@pytest.fixture
def notifications():
    return []


@pytest.fixture
def path(tmp_path):
    """As in the pod: a link through the folder that the kubelet swaps."""
    path = tmp_path / "config.yaml"
    mount(path, "mode: audit", "..one")
    path.symlink_to("..data/config.yaml")
    return path


@pytest.fixture
def file(path, lines, notifications):
    return followed(path, lines, notifications, parsed("mode: audit"))


def followed(path, lines, notifications, config):
    return ConfigFile(path, config, notifications.append, lambda: notifications.append("loaded"), logger_into(lines))


def mount(path, text, name):
    folder = path.parent
    (folder / name).mkdir()
    (folder / name / path.name).write_text(text)
    (folder / "..new").symlink_to(name)
    (folder / "..new").rename(folder / "..data")


def events(lines):
    return [line["event"] for line in lines]


def test_what_the_server_was_started_with_is_no_news(file, lines, notifications):
    file.look()
    file.look()
    assert (file.config.mode, file.notes(), lines) == (Mode.AUDIT, (), [])
    assert notifications == [True]


def test_the_kubelets_swap_is_followed(path, file, lines, notifications):
    file.look()
    mount(path, "mode: enforce\nprofiles: [{name: a}]", "..two")
    file.look()
    file.look()
    assert (file.config.mode, len(file.config.profiles), file.notes()) == (Mode.ENFORCE, 1, ())
    assert [(line["event"], line["mode"], line["profiles"]) for line in lines] == [
        ("configuration in use", "enforce", 1)
    ]
    assert notifications == [True, True, "loaded"]


def test_a_comment_is_no_other_configuration(path, file, lines, notifications):
    mount(path, "# why\nmode: audit", "..two")
    file.look()
    assert (lines, notifications) == ([], [True])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mode: [", "line 2, column 1: not YAML: "),
        ("mode: none", "mode: Input should be 'enforce' or 'audit' (it is 'none')"),
        ("{mode: none, a: b}", " (and 1 more)"),
        ("{}\n---\n{}", "a configuration is one document, this file has 2"),
    ],
)
def test_a_broken_file_keeps_the_one_in_use_and_is_said_once(file, lines, notifications, text, why):
    mount(file.path, text, "..two")
    for _ in range(3):
        file.look()
    assert file.config.mode is Mode.AUDIT
    (note,) = file.notes()
    assert note.startswith("the configuration file cannot be used, the former one holds: ")
    assert why in note
    assert [(line["event"], line["level"]) for line in lines] == [("configuration cannot be used", "warning")]
    assert why in lines[0]["lack"]
    assert set(notifications) == {False}


def test_bytes_that_are_no_text_keep_the_one_in_use(path, file):
    path.resolve().write_bytes(b"\xff\xfe")
    file.look()
    assert file.notes()[0].endswith(": not UTF-8 text")


def test_a_text_that_is_nested_too_deeply_keeps_the_one_in_use(path, file):
    mount(path, "a: " + "[" * 100_000, "..two")
    file.look()
    assert file.notes()
    assert file.config.mode is Mode.AUDIT


def test_when_it_is_mended_it_is_used_and_said(path, file, lines, notifications):
    mount(path, "mode: none", "..two")
    file.look()
    mount(path, "mode: audit", "..three")
    file.look()
    assert (file.config.mode, file.notes()) == (Mode.AUDIT, ())
    assert events(lines) == ["configuration cannot be used", "configuration in use"]
    assert notifications == [False, True]


def test_a_file_that_vanishes_and_comes_back_unchanged_is_fine_again(path, file, lines):
    file.look()
    path.unlink()
    file.look()
    assert file.notes()[0].endswith(f": {path}: No such file or directory")
    path.write_text("mode: audit")
    file.look()
    assert file.notes() == ()
    assert events(lines) == ["configuration cannot be used", "configuration in use"]


def test_an_image_of_supervise_that_is_added_waits_for_a_restart_and_the_rest_does_not(path, file, lines):
    mount(path, "{mode: enforce, supervise: {image: a}, osmo: {interruptedCode: 143}}", "..two")
    file.look()
    assert file.config == parsed("osmo: {interruptedCode: 143}")
    assert file.notes() == ("supervise.image was added to the configuration and needs a restart",)
    assert events(lines) == ["configuration needs a restart", "configuration in use"]
    mount(path, "mode: enforce", "..three")
    file.look()
    assert file.notes() == ()


def test_an_image_of_supervise_may_change_and_go_and_come_back(path, lines, notifications):
    file = followed(path, lines, notifications, Config(supervise=Supervise(image="a")))
    for number, (text, image) in enumerate(
        [("supervise: {image: b}", "b"), ("{}", None), ("supervise: {image: a}", "a")]
    ):
        mount(path, text, f"..{number}x")
        file.look()
        assert (file.config.supervise.image, file.notes()) == (image, ())


def test_the_loop_follows_changes_until_it_is_told_to_stop(path, file):
    stop = threading.Event()
    file.interval_seconds = 0.01
    thread = threading.Thread(target=file.run, args=(stop,), daemon=True)
    thread.start()
    try:
        mount(path, "mode: enforce", "..two")
        end = time.monotonic() + 60
        while file.config.mode is not Mode.ENFORCE:
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
