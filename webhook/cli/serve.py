"""`gracekeeper serve`: the webhook's process, put together from its parts."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

from webhook import __version__, log
from webhook.admission import Refusal
from webhook.api import Api, ApiError
from webhook.cli.inputs import CommandError, config_of
from webhook.cluster import Cluster, Probe
from webhook.cluster.earlier_runs import EarlierRuns
from webhook.cluster.stream import Patience
from webhook.config.configuration_file import ConfigFile
from webhook.config.settings import CertificateSource, FactsSource, ServerSettings
from webhook.evaluation import NoFacts
from webhook.metrics import Metrics
from webhook.policy.configuration import Config
from webhook.server import Addresses, Certificate, Mutation, Server, run
from webhook.tls import Source
from webhook.tls.files import FilesSource
from webhook.tls.objects import Objects
from webhook.tls.source import SecretSource


def serve(settings: ServerSettings) -> int:
    """Serve until SIGTERM has been obeyed; CommandError where it cannot be begun."""
    log.configure(settings.log_level, settings.log_format)
    config = config_of(None if settings.config_file is None else str(settings.config_file))
    logger = log.logger()
    stop = threading.Event()
    try:
        server, cluster = _built(settings, config, logger, stop)
        logger.info("starting", version=__version__, mode=config.mode, profiles=len(config.profiles))
        run(server)
    except (ApiError, OSError) as error:
        raise CommandError(str(error)) from error
    stop.set()
    if cluster is not None:
        cluster.stop()
    return 0


def _built(
    settings: ServerSettings, config: Config, logger: log.Logger, stop: threading.Event
) -> tuple[Server, Cluster | None]:
    """The server with everything that it needs, running in threads of their own."""
    metrics = Metrics(Refusal)
    metrics.replicas_wanted(settings.replicas)
    certificate = Certificate()
    api = cache(Api.from_environment)
    cluster = None
    if settings.facts is FactsSource.CLUSTER:
        cluster = Cluster(api(), logger, probe=_probe(settings, config))
        if settings.memory_name is not None:
            cluster.learn_from(EarlierRuns(api(), str(settings.namespace), settings.memory_name, logger, Patience()))
    source = _certificate_source(settings, api, certificate, metrics, logger)
    metrics.certificate_in_step(source.in_step)
    config_file = _followed(settings, config, metrics, logger, stop)
    if cluster is not None:
        metrics.watch(cluster.ages_seconds)
        metrics.facts_out_of_date(cluster.facts_out_of_date)
        metrics.sidecars(cluster.has_native_sidecars)
        cluster.start()
    threading.Thread(target=source.run, args=(stop,), name="certificate", daemon=True).start()

    def lacks() -> Sequence[str]:
        return [*source.lacks(), *(cluster.lacks() if cluster is not None else ())]

    facts = NoFacts() if cluster is None else cluster
    server = Server(
        addresses=Addresses(settings.host, settings.port, settings.health_port, settings.health_host),
        mutation=Mutation(facts, lambda: config_file.config, metrics, logger, settings.deadline_seconds),
        certificate=certificate,
        metrics=metrics,
        logger=logger,
        lacks=lacks,
        notes=lambda: [*config_file.notes(), *source.notes()],
        drain_seconds=settings.drain_seconds,
    )
    return server, cluster


def _followed(
    settings: ServerSettings, config: Config, metrics: Metrics, logger: log.Logger, stop: threading.Event
) -> ConfigFile:
    """The configuration file, looked at again and again; without one the built-in configuration stays."""
    config_file = ConfigFile(
        settings.config_file or Path(), config, metrics.config_usable, metrics.config_loaded, logger
    )
    metrics.config_loaded()
    if settings.config_file is not None:
        threading.Thread(target=config_file.run, args=(stop,), name="configuration", daemon=True).start()
    return config_file


def _probe(settings: ServerSettings, config: Config) -> Probe | None:
    """The pod by which the API server is asked about sidecars; without an image of supervise nothing is converted."""
    image = config.supervise.image
    return None if image is None else Probe(settings.namespace, image, settings.pre_pull_daemon_set)


def _certificate_source(
    settings: ServerSettings, api: Callable[[], Api], certificate: Certificate, metrics: Metrics, logger: log.Logger
) -> Source:
    if settings.certificate_source is CertificateSource.FILES:
        directory = settings.certificate_directory or Path()  # never empty: the settings were checked
        return FilesSource(directory, certificate.use, metrics.certificate_ends, logger)
    configurations = str(settings.webhook_configuration_names).replace(" ", "").split(",")
    source = SecretSource(
        api(),
        Objects(str(settings.namespace), str(settings.service_name), str(settings.secret_name), tuple(configurations)),
        certificate.use,
        metrics.certificate_ends,
        logger,
        life=timedelta(days=settings.certificate_validity_days),
        settle_seconds=settings.certificate_settle_seconds,
    )
    metrics.clock_ahead(source.clock.ahead_seconds)
    return source
