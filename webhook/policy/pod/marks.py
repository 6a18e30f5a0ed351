"""The marks by which training systems are known, as data. Recognition and the match condition both read them.

Each row is one of `use: yes` or `hint` in the project's table of training pod markers. A name that ends in `*` is a prefix.
"""

import re
from collections.abc import Iterable
from functools import cache

TRAINING_LABELS = (
    "training.kubeflow.org/*",
    "trainer.kubeflow.org/trainjob-ancestor-step",
    "jobset.sigs.k8s.io/*",
    "ray.io/*",
    "volcano.sh/*",
    "determined.ai/*",
    "torchx.pytorch.org/*",
    "elasticjob.dlrover/*",
    "osmo.task_uuid",
)
TRAINING_ANNOTATIONS = (
    "jobset.sigs.k8s.io/*",
    "scheduling.k8s.io/group-name",
    "volcano.sh/*",
)
TRAINING_VARIABLES = (
    "PET_*",
    "MASTER_ADDR",
    "MASTER_PORT",
    "WORLD_SIZE",
    "RANK",
    "TF_CONFIG",
    "PADDLE_*",
    "DMLC_TASK_ID",
    "OMPI_MCA_*",
    "VC_*",
    "VK_TASK_INDEX",
)
TRAINING_OWNER_GROUPS = (
    "kubeflow.org",
    "trainer.kubeflow.org",
    "jobset.x-k8s.io",
    "run.ai",
    "sagemaker.amazonaws.com",
    "elastic.iml.github.io",
    "elastic.pytorch.org",
)
"""API groups whose workloads train; a subgroup (`x.run.ai`) does not count."""

NOT_TRAINING_LABELS = ("serving.kserve.io/*", "serving.knative.dev/*", "slinky.slurm.net/cluster", "notebook-name")
NOT_TRAINING_LABEL_VALUES = (("ray.io/originated-from-crd", "RayService"),)
NOT_TRAINING_OWNER_KINDS = ("ReplicaSet", "DaemonSet", "RayService")
"""Deployments and agents: serving or infrastructure, unless their owner opts in."""
NOT_TRAINING_KIND_WORDS = ("Interactive", "Inference", "Notebook")

TRAINER_STEP_LABEL = ("trainer.kubeflow.org/trainjob-ancestor-step", "trainer")
"""Only this step of a Kubeflow TrainJob holds checkpoints; its initializers do not. Runtimes put it on Jobs, seldom on pods."""
REPLICATED_JOB_LABEL = "jobset.sigs.k8s.io/replicatedjob-name"
INITIALIZER_JOBS = ("dataset-initializer", "model-initializer")
"""Names that the runtimes of a TrainJob give the Jobs of its initializers. JobSet writes them on pods, and no label of a Job."""
JOBSET_OR_RAY_LABELS = ("jobset.sigs.k8s.io/*", "ray.io/*")
"""Marks of systems that also run servers."""

BATCH_OWNERS = (
    ("batch", "Job"),
    ("argoproj.io", "Workflow"),
    ("ray.io", "RayJob"),
    ("ray.io", "RayCluster"),
    ("batch.volcano.sh", "Job"),
    ("workload.codeflare.dev", "AppWrapper"),
    ("flyte.lyft.com", "FlyteWorkflow"),
    ("flyte.lyft.com", "flyteworkflow"),
    ("flyte.org", "TaskAction"),
    ("workflow.osmo.nvidia.com", "OSMOTaskGroup"),
    ("tekton.dev", "TaskRun"),
    ("sparkoperator.k8s.io", "SparkApplication"),
)
BATCH_LABELS = (
    "batch.kubernetes.io/job-name",
    "job-name",
    "workflows.argoproj.io/workflow",
    "katib.kubeflow.org/trial",
    "kueue.x-k8s.io/queue-name",
    "kai.scheduler/queue",
)
BATCH_LABEL_VALUES = (
    ("parent", "skypilot"),
    ("app.kubernetes.io/part-of", "metaflow"),
)
ACCELERATORS = (
    "nvidia.com/gpu",
    "nvidia.com/mig-*",
    "amd.com/gpu",
    "google.com/tpu",
    "habana.ai/gaudi",
    "aws.amazon.com/neuron*",
    "huawei.com/Ascend*",
    "gpu.intel.com/*",
)
IN_TREE_FILE_SYSTEMS = {
    "azureFile": "kubernetes.io/azure-file",
    "cephfs": "kubernetes.io/cephfs",
    "nfs": "kubernetes.io/nfs",
}
"""File systems that a pod mounts without a claim, with the name of their provisioner."""
LASTING_VOLUMES = ("persistentVolumeClaim", "csi", "hostPath", *IN_TREE_FILE_SYSTEMS)
"""Kinds of volumes that may outlive the pod."""

CHECKPOINT_VARIABLES = ("CHECKPOINT_DIR", "CKPT_DIR", "OUTPUT_DIR", "SAVE_DIR", "AIP_CHECKPOINT_DIR")
CHECKPOINT_ARGUMENTS = (
    "--checkpoint_dir",
    "--checkpoint-dir",
    "--ckpt_dir",
    "--ckpt-dir",
    "--output_dir",
    "--output-dir",
    "--save",
    "--save_dir",
    "--save-dir",
)
LIKELY_CHECKPOINT_VARIABLES = ("CKPT_SAVE_DIR",)
LIKELY_CHECKPOINT_ARGUMENTS = (
    "--checkpoint_file",
    "--checkpoint-file",
    "--checkpoint_path",
    "--checkpoint-path",
    "--output_path",
    "--output-path",
    "--save_location",
    "--save-location",
)
CHECKPOINT_OVERRIDES = ("output_dir", "checkpointer.output_dir", "megatron_ckpt_dir")
"""Keys of `key=value` arguments. torchtune's `checkpointer.checkpoint_dir` is where it reads."""
SAVING_VARIABLES = ("ENABLE_CKPT_WRITE", "CHECKPOINT_SAVE_STEPS", "CHECKPOINT_EPOCHS", "MLFLOW_ARTIFACT_URI")
SAVING_ARGUMENTS = (
    "--checkpoint_freq",
    "--checkpoint-freq",
    "--checkpoint_frequency",
    "--checkpoint-frequency",
    "--resume_from_checkpoint",
    "--resume-from-checkpoint",
    "--save_steps",
    "--save-steps",
    "--save_every",
    "--save-every",
)
SAVING_OVERRIDES = ("checkpoint.save_interval",)
"""Names that stand on real training pods, and also on some that only read a checkpoint. They count where the pod may train.
Those called SAVING name no path."""
_CHECKPOINT_NAME = re.compile(r"(?:^|[-_./])(?:checkpoints?|ckpts?)(?=$|[-_./\d])", re.IGNORECASE)
_READING_NAME = re.compile(r"pre-?trained|base|load|input|initial|gradient|activation", re.IGNORECASE)
_LONGEST_NAME = 4096
INTERRUPTIBLE_LABEL = ("qos.coreweave.cloud/interruptable", "true")
"""CoreWeave ends such a pod without its grace when it acts on the node."""
GRACEFULLY_INTERRUPTIBLE_LABEL = "qos.coreweave.com/graceful-interruptible"
"""CoreWeave waits for the end of such a pod, for the length of its grace (its documentation of June 2026)."""
SLURM_BRIDGE_SCHEDULER = "slurm-bridge-scheduler"
"""Slurm's job ends, and its node is free for the next one, as soon as such a pod begins to end (SlinkyProject/slurm-bridge#16)."""

DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
MAIN_CONTAINER_NAMES = ("pytorch", "tensorflow", "mpi", "xgboost", "paddle", "jax", "node", "launcher", "main")
"""Names of the trainer container in training_pod_markers.csv; Argo's is `main`."""

OSMO_LABELS = frozenset({"osmo.task_uuid", "osmo.workflow_uuid"})
OSMO_UPLOADER = "osmo-ctrl"
OSMO_UPLOADER_COMMAND = "/osmo/bin/osmo_ctrl"
OSMO_EXEC = "/osmo/bin/osmo_exec"

UID_RANGE_ANNOTATION = "openshift.io/sa.scc.uid-range"
"""On a Namespace: OpenShift chooses the users of its containers, and refuses others."""
KUEUE_POD_GROUP_LABEL = "kueue.x-k8s.io/pod-group-name"
MPI_LAUNCHER_LABELS = (
    ("training.kubeflow.org/job-role", "launcher"),
    ("training.kubeflow.org/replica-type", "launcher"),
)
MPI_HOST_VARIABLES = ("OMPI_MCA_orte_default_hostfile", "I_MPI_HYDRA_HOST_FILE", "HYDRA_HOST_FILE")
"""Variables by which the MPI operator tells the launcher's pod where its ranks run."""
MPI_JOB_KIND = "MPIJob"

SUPERVISE_BINARY = "/gracekeeper/bin/supervise"
"""Where `supervise install` puts itself; a container that starts with it was wrapped by gracekeeper."""
SUPERVISE_FOLDER = "/gracekeeper"
SUPERVISE_TASK_FOLDER = "/gracekeeper/task"
"""Where the trainer's supervise shows the others that it lives."""
SUPERVISE_VOLUME = "gracekeeper"
SUPERVISE_INIT = "gracekeeper-init"
SUPERVISE_GATE = "gracekeeper-gate"
"""Names of what gracekeeper adds to a pod that runs supervise."""


def is_in_supervise_folder(path: str) -> bool:
    """Return whether a path is the folder that gracekeeper mounts, or lies in it."""
    return f"{path}/".startswith(f"{SUPERVISE_FOLDER}/")


def names_checkpoints(name: str) -> bool:
    """Return whether a mount path, volume or claim is named after checkpoints that are written: /ckpt, llm-checkpoints."""
    name = name[:_LONGEST_NAME]
    return _CHECKPOINT_NAME.search(name) is not None and _READING_NAME.search(name) is None


def first_match(names: Iterable[str], marks: tuple[str, ...]) -> str | None:
    """Return the first of the names that one of the marks covers."""
    exact, prefixes = _exact_and_prefixes(marks)
    return next((name for name in names if name in exact or name.startswith(prefixes)), None)


@cache
def _exact_and_prefixes(marks: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return a row of marks as it is compared. There are only the rows above, so all of them are cached."""
    return frozenset(marks), tuple(mark[:-1] for mark in marks if mark.endswith("*"))
