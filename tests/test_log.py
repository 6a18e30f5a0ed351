"""Lines on standard error: one JSON object each, whatever is in it."""

import json
import logging

import pytest
import structlog

from webhook import log


@pytest.fixture(autouse=True)
def _as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("value", ["plain", "\ud800", 2**70, ["a"], None, {"deep": True}, "two\nlines"])
def test_a_line_is_one_json_object_whatever_its_values_are(capsys, value):
    log.configure()
    log.logger().info("decision", value=value)
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields.pop("timestamp").endswith("Z")
    assert fields == {"level": "info", "event": "decision", "value": value}


def test_other_libraries_speak_the_same_way(capsys):
    log.configure()
    logging.getLogger("somebody").warning("odd: %s", 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "odd: 1"


def test_lines_for_people_are_text(capsys):
    log.configure(form="console")
    log.logger().info("decision", value=1)
    assert "decision" in capsys.readouterr().err


def test_lines_below_the_level_are_not_written(capsys):
    log.configure("error")
    log.logger().info("decision")
    assert capsys.readouterr().err == ""


def test_an_error_of_a_library_is_one_line_without_its_message_which_may_quote_a_pod(capsys):
    log.configure()
    try:
        int("TOKEN=s3cret")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert "s3cret" not in line
    assert fields["error"] == "ValueError"
    assert any("test_log.py" in frame for frame in fields["trace"])


def test_what_libraries_chat_about_is_not_written(capsys):
    log.configure()
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("urllib3.connectionpool").debug("https://10.96.0.1")
    assert capsys.readouterr().err == ""
