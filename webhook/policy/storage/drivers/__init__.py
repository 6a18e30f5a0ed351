"""What a CSI driver's parameters promise: one file for each driver family, one row for each driver.

Law: a family is a pure function of a volume's parameters. A new family is a file here and a row in FAMILIES.
"""

from collections.abc import Mapping

from webhook.policy.storage.drivers.azure_disk import azure_disk_throughput
from webhook.policy.storage.drivers.azure_files import azure_files_throughput
from webhook.policy.storage.drivers.azure_lustre import azure_lustre_throughput
from webhook.policy.storage.drivers.ebs import ebs_throughput
from webhook.policy.storage.drivers.efs import efs_throughput
from webhook.policy.storage.drivers.fsx_lustre import fsx_lustre_throughput
from webhook.policy.storage.drivers.managed_lustre import managed_lustre_throughput
from webhook.policy.storage.drivers.node_memory import node_memory_throughput
from webhook.policy.storage.drivers.parameters import Family, Promise, Silence, VolumeParameters
from webhook.policy.storage.drivers.persistent_disk import persistent_disk_throughput
from webhook.policy.storage.drivers.silent import why_silent

FAMILIES: Mapping[str, Family] = {
    "azurelustre.csi.azure.com": azure_lustre_throughput,
    "disk.csi.azure.com": azure_disk_throughput,
    "ebs.csi.aws.com": ebs_throughput,
    "efs.csi.aws.com": efs_throughput,
    "file.csi.azure.com": azure_files_throughput,
    "fsx.csi.aws.com": fsx_lustre_throughput,
    "kubernetes.io/aws-ebs": ebs_throughput,
    "kubernetes.io/azure-disk": azure_disk_throughput,
    "kubernetes.io/azure-file": azure_files_throughput,
    "kubernetes.io/gce-pd": persistent_disk_throughput,
    "lustre.csi.storage.gke.io": managed_lustre_throughput,
    "multitier-checkpoint.csi.storage.gke.io": node_memory_throughput,
    "pd.csi.storage.gke.io": persistent_disk_throughput,
    "phase1-checkpoint.csi.storage.gke.io": node_memory_throughput,
}
"""Every other driver states nothing: `silent`."""


def family_of(driver: str) -> Family:
    """Return the driver's family; `why_silent` where no formula is known."""
    return FAMILIES.get(driver, why_silent)


def promise_of(parameters: VolumeParameters) -> Promise | Silence:
    """Return what the driver makes of these parameters, or why nothing is known."""
    return family_of(parameters.driver)(parameters)
