"""The marks by which training systems are known, as data. Recognition and the match condition both read them.

Each row is one of `use: yes` or `hint` in the project's table of training pod markers. A name that ends in `*` is a prefix.
"""

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
)
"""API groups whose workloads train; a subgroup (`x.run.ai`) does not count."""

NOT_TRAINING_LABELS = ("serving.kserve.io/*", "serving.knative.dev/*", "slinky.slurm.net/cluster", "notebook-name")
NOT_TRAINING_LABEL_VALUES = (("ray.io/originated-from-crd", "RayService"),)
NOT_TRAINING_OWNER_KINDS = ("ReplicaSet", "DaemonSet", "RayService")
"""Deployments and agents: serving or infrastructure, unless their owner opts in."""
NOT_TRAINING_KIND_WORDS = ("Interactive", "Inference", "Notebook")

TRAINER_STEP_LABEL = ("trainer.kubeflow.org/trainjob-ancestor-step", "trainer")
"""Only this step of a Kubeflow TrainJob holds checkpoints; its initializers do not."""

BATCH_OWNERS = (
    ("batch", "Job"),
    ("argoproj.io", "Workflow"),
    ("ray.io", "RayJob"),
    ("ray.io", "RayCluster"),
    ("batch.volcano.sh", "Job"),
    ("workload.codeflare.dev", "AppWrapper"),
    ("flyte.lyft.com", "FlyteWorkflow"),
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


def first_match(names: Iterable[str], marks: tuple[str, ...]) -> str | None:
    """Return the first of the names that one of the marks covers."""
    exact, prefixes = _exact_and_prefixes(marks)
    return next((name for name in names if name in exact or name.startswith(prefixes)), None)


@cache
def _exact_and_prefixes(marks: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return a row of marks as it is compared. There are only the rows above, so all of them are cached."""
    return frozenset(marks), tuple(mark[:-1] for mark in marks if mark.endswith("*"))
