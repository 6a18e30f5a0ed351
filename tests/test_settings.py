"""Settings of the process: what is wrong is refused at start, in one line that names the variable."""

import os
import subprocess
import sys

import pytest

from webhook.config import settings
from webhook.config.field_errors import ConfigError
from webhook.config.settings import CertificateSource, FactsSource, LogFormat

FILES = {"CERTIFICATE_SOURCE": "files", "CERTIFICATE_DIRECTORY": "/tls"}


@pytest.fixture
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("GRACEKEEPER_")]:
        monkeypatch.delenv(name)

    def set_all(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"GRACEKEEPER_SERVER_{name}", value)

    return set_all


def test_without_variables_only_the_names_of_the_secret_are_missing(environment):
    environment()
    with pytest.raises(ConfigError) as refused:
        settings.server_settings()
    assert str(refused.value) == (
        "certificate source secret needs GRACEKEEPER_SERVER_NAMESPACE, GRACEKEEPER_SERVER_SERVICE_NAME, "
        "GRACEKEEPER_SERVER_SECRET_NAME, GRACEKEEPER_SERVER_WEBHOOK_CONFIGURATION_NAMES"
    )


def test_defaults(environment):
    environment(**FILES)
    defaults = settings.server_settings()
    assert (defaults.port, defaults.health_port, defaults.drain_seconds, defaults.deadline_seconds) == (
        10250,
        8080,
        10,
        2,
    )
    assert (defaults.log_level, defaults.log_format, defaults.facts) == ("info", LogFormat.JSON, FactsSource.CLUSTER)
    assert defaults.certificate_source is CertificateSource.FILES
    assert defaults.config_file is None


def test_a_variable_that_is_empty_is_not_set(environment):
    environment(**FILES, PORT="", CONFIG_FILE="", NAMESPACE="", LOG_LEVEL="")
    defaults = settings.server_settings()
    assert (defaults.port, defaults.config_file, defaults.namespace, defaults.log_level) == (10250, None, None, "info")


def test_settings_are_frozen(environment):
    environment(**FILES)
    with pytest.raises(ValueError, match="frozen"):
        settings.server_settings().port = 1  # type: ignore[misc]  # that it cannot be is the test


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"PORT": "0"}, "GRACEKEEPER_SERVER_PORT: Input should be greater than or equal to 1 (it is '0')"),
        ({"PORT": "65536"}, "GRACEKEEPER_SERVER_PORT: "),
        ({"PORT": "https"}, "GRACEKEEPER_SERVER_PORT: "),
        ({"PORT": "tcp://10.96.0.1:443"}, "GRACEKEEPER_SERVER_PORT: "),
        ({"HEALTH_PORT": "-1"}, "GRACEKEEPER_SERVER_HEALTH_PORT: "),
        ({"HEALTH_PORT": "10250"}, "GRACEKEEPER_SERVER_PORT and GRACEKEEPER_SERVER_HEALTH_PORT are both 10250"),
        ({"DRAIN_SECONDS": "10s"}, "GRACEKEEPER_SERVER_DRAIN_SECONDS: "),
        ({"DRAIN_SECONDS": "nan"}, "GRACEKEEPER_SERVER_DRAIN_SECONDS: "),
        ({"DRAIN_SECONDS": "301"}, "GRACEKEEPER_SERVER_DRAIN_SECONDS: "),
        ({"DEADLINE_SECONDS": "0"}, "GRACEKEEPER_SERVER_DEADLINE_SECONDS: "),
        ({"DEADLINE_SECONDS": "2.5"}, "GRACEKEEPER_SERVER_DEADLINE_SECONDS: "),
        ({"LOG_LEVEL": "INFO"}, "GRACEKEEPER_SERVER_LOG_LEVEL: "),
        ({"LOG_FORMAT": "text"}, "GRACEKEEPER_SERVER_LOG_FORMAT: Input should be 'json' or 'console' (it is 'text')"),
        ({"FACTS": "all"}, "GRACEKEEPER_SERVER_FACTS: "),
        ({"CERTIFICATE_SOURCE": "vault"}, "GRACEKEEPER_SERVER_CERTIFICATE_SOURCE: "),
        ({"CERTIFICATE_VALIDITY_DAYS": "0"}, "GRACEKEEPER_SERVER_CERTIFICATE_VALIDITY_DAYS: "),
        ({"CERTIFICATE_SETTLE_SECONDS": "-1"}, "GRACEKEEPER_SERVER_CERTIFICATE_SETTLE_SECONDS: "),
        ({"CERTIFICATE_DIRECTORY": ""}, "certificate source files needs GRACEKEEPER_SERVER_CERTIFICATE_DIRECTORY"),
        (
            {"DRAIN_SECOND": "5"},
            "GRACEKEEPER_SERVER_DRAIN_SECOND: no such setting, did you mean GRACEKEEPER_SERVER_DRAIN_SECONDS?",
        ),
        ({"SERVICE_HOST": "10.96.0.1"}, "GRACEKEEPER_SERVER_SERVICE_HOST: no such setting"),
        ({"XYZZY": ""}, "GRACEKEEPER_SERVER_XYZZY: no such setting"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_variable(environment, variables, line):
    environment(**{**FILES, **variables})
    with pytest.raises(ConfigError) as refused:
        settings.server_settings()
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_variables_of_others_are_none_of_our_business(environment, monkeypatch):
    environment(**FILES)
    monkeypatch.setenv("GRACEKEEPER_PORT", "tcp://10.96.0.1:443")
    monkeypatch.setenv("GRACEKEEPER_CHECKPOINT_SIZE", "1GB")
    assert settings.server_settings().port == 10250


def test_the_process_says_it_in_one_line_and_ends_with_2():
    ended = subprocess.run(
        [sys.executable, "-m", "webhook", "serve"],
        env={**os.environ, "GRACEKEEPER_SERVER_PROT": "1"},
        stderr=subprocess.PIPE,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.decode().splitlines() == [
        "gracekeeper: GRACEKEEPER_SERVER_PROT: no such setting, did you mean GRACEKEEPER_SERVER_PORT?"
    ]
