"""`gracekeeper observe`: the observer's process, put together from its parts."""

import signal

import uvicorn

from webhook import __version__, log
from webhook.api import Api, ApiError
from webhook.cli.inputs import CommandError, config_of
from webhook.config.settings import ObserverSettings
from webhook.observer.memory_object import MemoryObject
from webhook.observer.observer import PodObserver, Rules
from webhook.server.apps import health_app

_LAST_ANSWERS_SECONDS = 2


def observe(settings: ObserverSettings) -> int:
    """Observe until SIGTERM, then write what is not written yet; CommandError where it cannot be begun."""
    log.configure(settings.log_level, settings.log_format)
    config = config_of(None if settings.config_file is None else str(settings.config_file))
    logger = log.logger()
    namespaces = tuple(filter(None, settings.namespaces.replace(" ", "").split(",")))
    rules = Rules(config.observer.minimum_run_seconds, namespaces, settings.write_seconds)
    try:
        api = Api.from_environment()
    except (ApiError, OSError) as error:
        raise CommandError(str(error)) from error
    memory = MemoryObject(api, settings.namespace, settings.memory_name)
    observer = PodObserver(api, memory, rules, logger=logger)
    logger.info("observing", version=__version__, namespaces=namespaces or "all")
    observer.start()
    _answer_until_told_to_stop(observer, settings)
    observer.stop()
    logger.info("ended")
    return 0


def _answer_until_told_to_stop(observer: PodObserver, settings: ObserverSettings) -> None:
    """Serve health and metrics. uvicorn raises the signal that ended it once more, which must not end the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    app = health_app(observer.lacks, observer.notes, observer.metrics.text)
    uvicorn.run(
        app,
        host=settings.health_host,
        port=settings.health_port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )
