"""The cache of the e2e cluster: an entry appears whole or not at all, and only under the key of its inputs."""

import os
import threading
import time

import pytest

from tools.cluster import cache


def test_a_key_follows_the_contents_of_files_and_folders_and_not_their_place(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "unit").write_text("same")
    assert cache.key(one) == cache.key(other)
    (other / "unit").write_text("changed")
    assert cache.key(one) != cache.key(other)


def test_a_key_tells_two_texts_from_one_that_joins_them():
    assert cache.key("1.37", ".2") != cache.key("1.37.2")
    assert cache.key("a", "b") != cache.key("b", "a")


def test_a_key_tells_a_text_from_a_file_that_holds_it(tmp_path):
    (tmp_path / "version").write_text("1.37.2")
    assert cache.key("1.37.2") != cache.key(tmp_path / "version")


def test_compiled_python_does_not_change_a_key(tmp_path):
    (tmp_path / "source.py").write_text("pass")
    before = cache.key(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "source.pyc").write_text("compiled")
    assert cache.key(tmp_path) == before


def test_an_entry_is_made_once(tmp_path):
    made = []

    def build(target):
        made.append(target)
        target.write_text("built")

    for _ in range(2):
        assert cache.kept(tmp_path, "thing", "abc", build).read_text() == "built"
    assert len(made) == 1


def test_another_key_is_another_entry(tmp_path):
    def build(target):
        target.write_text(target.name)

    first, second = (cache.kept(tmp_path, "thing", entry_key, build) for entry_key in ("abc", "def"))
    assert ("abc" in first.read_text(), "def" in second.read_text()) == (True, True)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_build_that_fails_or_is_interrupted_leaves_nothing(tmp_path, failure):
    def build(target):
        target.mkdir()
        (target / "half").write_text("half")
        raise failure

    with pytest.raises(failure):
        cache.kept(tmp_path, "thing", "abc", build)
    assert [path.name for path in tmp_path.iterdir()] == ["lock-build-thing"]


def test_what_a_run_that_was_ended_hard_left_is_removed_by_the_next(tmp_path):
    (tmp_path / ".thing-abc.unfinished").mkdir()
    (tmp_path / ".thing-abc.unfinished" / "half").write_text("half")
    (tmp_path / ".other-abc.unfinished").mkdir()
    entry = cache.kept(tmp_path, "thing", "abc", lambda target: target.mkdir())
    assert list(entry.iterdir()) == []
    assert not (tmp_path / ".thing-abc.unfinished").exists()
    assert (tmp_path / ".other-abc.unfinished").exists()


def test_two_runs_that_want_the_same_entry_build_it_once(tmp_path):
    began, finish, made = threading.Event(), threading.Event(), []

    def slow(target):
        began.set()
        finish.wait(30)
        made.append("slow")
        target.write_text("slow")

    first = threading.Thread(target=cache.kept, args=(tmp_path, "thing", "abc", slow))
    first.start()
    assert began.wait(30)
    second = threading.Thread(target=cache.kept, args=(tmp_path, "thing", "abc", lambda _: made.append("again")))
    second.start()
    finish.set()
    first.join(30)
    second.join(30)
    assert made == ["slow"]


def test_an_entry_that_nobody_wanted_for_two_weeks_goes_when_a_new_one_is_made(tmp_path):
    for entry_key, days in (("old", 20), ("recent", 3)):
        path = cache.kept(tmp_path, "thing", entry_key, lambda target: target.mkdir())
        then = time.time() - days * 24 * 3600
        os.utime(path, (then, then))
    cache.kept(tmp_path, "thing", "new", lambda target: target.mkdir())
    assert {path.name for path in tmp_path.glob("thing-*")} == {"thing-recent", "thing-new"}
