"""The folder that is written out to the disk when the trainer has saved.

Law: one volume is known to take the checkpoint, it outlives the pod, and it can be a local file system. Whether it is one,
`supervise` sees when it runs: a claim may be NFS. Nothing is looked up for this.
"""

from webhook.policy.pod import Pod
from webhook.policy.statements.statements import Statements
from webhook.policy.storage.destination import destination_of


def folder_to_sync(pod: Pod, statements: Statements) -> str:
    """Return the path at which the trainer container mounts the checkpoint's volume; empty where no such volume is known."""
    destination = destination_of(pod, statements)
    names = {*destination.volume_names, *filter(None, (destination.on_one_node,))}
    volumes = [volume for volume in pod.volumes if volume.name in names]
    if len(names) != 1 or not all(volume.has_claim or volume.host_path for volume in volumes):
        return ""
    mounts = (mount.path for mount in pod.trainer.mounts if mount.volume_name in names and not mount.read_only)
    return next(mounts, "")
