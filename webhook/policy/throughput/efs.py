"""Amazon EFS: no object of the cluster tells the throughput mode of a file system, so it states nothing.

Elastic file systems take about 1 GiB/s, bursting ones 50 KiB/s for each GiB stored, at least 1 MiB/s, and 100 MiB/s while
their credits last (AWS announcement of June 2020). Which one it is, and whether credits are left, only an admin knows.
"""

from webhook.policy.throughput.asked import Asked, Silence


def write(asked: Asked) -> Silence:
    """Why nothing is known of an EFS volume."""
    return Silence(f"no object tells the throughput mode of {asked.driver}")
