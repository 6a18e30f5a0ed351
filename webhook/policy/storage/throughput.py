"""How fast a claim's volume takes data: annotations first, then what its CSI driver's parameters promise."""

from dataclasses import dataclass

from webhook.policy.statements import keys
from webhook.policy.statements.statements import Ignored, Statement, read_annotation
from webhook.policy.storage.claim import Claim
from webhook.policy.storage.drivers import promise_of
from webhook.policy.storage.drivers.parameters import Promise, Setting, Silence, VolumeParameters


@dataclass(frozen=True, slots=True)
class Throughput:
    """Bytes per second, and in words where the number is from."""

    bytes_per_second: float
    source: str


def throughput_of(claim: Claim) -> tuple[Throughput | None, tuple[Ignored, ...]]:
    """Return the throughput that the claim's own objects state, and what was ignored of them.

    The object nearest to the volume wins. None where the objects state nothing.
    """
    annotations = [
        read_annotation(kind, holder, keys.WRITE_THROUGHPUT)
        for kind, holder in (
            ("PersistentVolumeClaim", claim.manifest),
            ("PersistentVolume", claim.persistent_volume),
            ("StorageClass", claim.storage_class),
        )
    ]
    ignored = tuple(each for each in annotations if isinstance(each, Ignored))
    of_claim, of_volume, of_class = (
        Throughput(each.value, each.origin) if isinstance(each, Statement) else None for each in annotations
    )
    parameters = claim.parameters
    promise = promise_of(parameters)
    if isinstance(promise, Silence):
        return of_claim or of_volume or of_class, ignored
    setting = _deciding_setting(parameters, promise)
    holder = f"default of {parameters.driver} {promise.kind}" if setting is None else setting.holder
    of_driver = Throughput(promise.bytes_per_second, f"{holder}: {promise.reason}")
    if setting is not None and setting.of_the_volume:
        return of_claim or of_volume or of_driver, ignored
    return of_claim or of_volume or of_class or of_driver, ignored


def fallback_for(claim: Claim, fallback: Throughput) -> Throughput:
    """Return the fallback for a claim whose objects state nothing, with the reason why they do not."""
    parameters = claim.parameters
    promise = promise_of(parameters) if parameters.driver else None
    if isinstance(promise, Silence):
        return Throughput(fallback.bytes_per_second, f"{fallback.source}, as {promise.why}")
    return fallback


def _deciding_setting(parameters: VolumeParameters, promise: Promise) -> Setting | None:
    """Return the setting that made the promise, the nearest to the volume; None where it is the driver's default."""
    settings = [parameters.settings[name] for name in promise.by if name in parameters.settings]
    return max(settings, key=lambda setting: setting.of_the_volume, default=None)
