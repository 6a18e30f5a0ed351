"""The two images: their names, and a Dockerfile that the legacy builder gets through without a network."""

import re

import pytest

from tools import image

DOCKERFILE = (image.ROOT / "Dockerfile").read_text(encoding="utf-8")
STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (f"{image.REPOSITORY}:0.1.0", f"{image.SUPERVISE_REPOSITORY}:0.1.0"),
        ("registry.example.com:5000/team/keeper:1", "registry.example.com:5000/team/supervise:1"),
        ("registry.example.com:5000/keeper", "registry.example.com:5000/supervise"),
        ("keeper:dev", "supervise:dev"),
    ],
)
def test_the_image_of_supervise_lies_beside_the_server_s(server, expected):
    assert image.beside(server) == expected


def test_who_names_no_stage_gets_the_server_s_image():
    assert list(STAGES) == ["supervise", "webhook"]


def test_neither_stage_needs_anything_of_the_other():
    assert "--from" not in DOCKERFILE
    assert "build/image" not in STAGES["supervise"]
    assert "supervise" not in STAGES["webhook"]


def test_supervise_s_stage_runs_nothing_and_comes_from_nowhere():
    assert "FROM scratch AS supervise\n" in DOCKERFILE
    assert not re.search(r"^RUN ", STAGES["supervise"], re.MULTILINE)


def test_the_stage_of_supervise_can_be_passed_without_a_binary():
    """A pattern that matches nothing is no error beside a file that is there."""
    (copied,) = re.findall(r"^COPY (.+)$", STAGES["supervise"], re.MULTILINE)
    there, pattern, _ = copied.split()
    assert (image.ROOT / there).is_file()
    assert pattern.endswith("/supervis[e]")
    ignore = (image.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{there}", "!build/supervise/**"} <= set(ignore)


def test_each_image_has_a_key_of_what_goes_into_it(tmp_path):
    named = ("LICENSE", "Dockerfile", "requirements.lock")
    for part in ("webhook/__init__.py", "supervise/main.go", "tools/supervise.py", *named):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        (tmp_path / part).write_text(part)
    before = keys(tmp_path)
    (tmp_path / "webhook" / "new.py").write_text("")
    (tmp_path / "supervise" / "main_test.go").write_text("")
    other_server = keys(tmp_path)
    (tmp_path / "supervise" / "main.go").write_text("")
    other_supervise = keys(tmp_path)
    assert (other_server[0] != before[0], other_server[1] == before[1]) == (True, True)
    assert (other_supervise[0] == other_server[0], other_supervise[1] != other_server[1]) == (True, True)


def keys(root) -> tuple[str, str]:
    return image.content_key(root), image.supervise_content_key(root)
