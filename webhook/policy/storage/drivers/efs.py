"""Amazon EFS: no object of the cluster tells the throughput mode of a file system, so it states nothing.

A regional elastic file system takes 1 to 5 GiB/s of writes, by region, a provisioned one what was bought, up to 1 to 3.33,
a bursting one 50 KiB/s for each GiB stored, at least 1 MiB/s, and 100 MiB/s while its credits last. One node writes at most
500 MiB/s, on elastic ones 1500 (EFS user guide, performance; announcement of June 2020). Which one it is, and whether credits
are left, only an admin knows.
"""

from webhook.policy.storage.drivers.parameters import Silence, VolumeParameters


def efs_throughput(parameters: VolumeParameters) -> Silence:
    """Why nothing is known of an EFS volume."""
    return Silence(f"no object tells the throughput mode of {parameters.driver}")
