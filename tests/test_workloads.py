"""Kinds without a plain pod template, as their controllers create pods of them; what cannot be read is one clear line."""

import pytest
import yaml

from tests.policy_calls import facts_in_files
from webhook import manifests
from webhook.cli import main

RUNTIME = """
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainingRuntime
metadata: {name: torch}
spec:
  mlPolicy: {numNodes: 2, torch: {}}
  template:
    spec:
      replicatedJobs:
      - name: data
        template: {spec: {template: {spec: {containers: [{name: data}]}}}}
      - name: node
        template:
          metadata: {labels: {trainer.kubeflow.org/trainjob-ancestor-step: trainer}}
          spec:
            template:
              metadata: {labels: {own: "1"}}
              spec:
                containers: [{name: node, image: old, env: [{name: A, value: "1"}, {name: B, value: "1"}]}, {name: side}]
                volumes: [{name: v, emptyDir: {}}]
"""
JOB = """
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: llm, namespace: team-b, uid: x}
spec:
  runtimeRef: {kind: TrainingRuntime, name: torch}
  trainer:
    image: new
    args: [a]
    numNodes: 4
    resourcesPerNode: {limits: {nvidia.com/gpu: 8}}
    env: [{name: B, value: "2"}]
  podTemplateOverrides:
  - targetJobs: [{name: node}]
    metadata: {annotations: {gracekeeper.dev/checkpoint-size: 1Gi}, labels: {by: override}}
    spec:
      terminationGracePeriodSeconds: 77
      volumes: [{name: w, persistentVolumeClaim: {claimName: c}}]
      containers: [{name: node, env: [{name: C, value: "3"}], volumeMounts: [{name: w, mountPath: /w}]}]
"""


def pods_of(text, others=""):
    objects = manifests.documents(text, "f.yaml")
    return manifests.pods_in(objects, "f.yaml", "team-a", manifests.documents(others, "o.yaml"))


def unread(text, others=""):
    objects = manifests.documents(text, "f.yaml")
    return list(manifests.reading_of(objects, "f.yaml", "team-a", manifests.documents(others, "o.yaml")).unread)


def test_a_train_job_is_its_runtime_with_its_own_words():
    data, node = pods_of(JOB, RUNTIME)
    assert (data.namespace, data.where) == ("team-b", "f.yaml: JobSet llm spec.replicatedJobs.0.template.spec.template")
    assert data.pod["spec"]["containers"] == [{"name": "data"}]
    assert node.pod["spec"] == {
        "containers": [
            {
                "name": "node",
                "image": "new",
                "args": ["a"],
                "resources": {"limits": {"nvidia.com/gpu": 8}},
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "value": "2"},
                    {"name": "PET_NNODES", "value": "4"},
                    {"name": "C", "value": "3"},
                ],
                "volumeMounts": [{"name": "w", "mountPath": "/w"}],
            },
            {"name": "side"},
        ],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "persistentVolumeClaim": {"claimName": "c"}}],
        "terminationGracePeriodSeconds": 77,
    }
    assert node.pod["metadata"]["annotations"]["gracekeeper.dev/checkpoint-size"] == "1Gi"
    assert node.job is not None
    assert (node.job["spec"]["completions"], node.job["spec"]["parallelism"]) == (4, 4)
    assert node.pod["metadata"]["labels"].items() >= {"own": "1", "by": "override"}.items()
    assert node.pod["metadata"]["labels"]["jobset.sigs.k8s.io/replicatedjob-name"] == "node"
    assert "annotations" not in data.pod["metadata"] or "gracekeeper" not in str(data.pod["metadata"]["annotations"])
    assert node.pod["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_a_runtime_in_the_same_file_is_no_workload_of_its_own_beside_a_job_and_is_one_alone():
    assert len(pods_of(f"{RUNTIME}\n---\n{JOB}")) == 2
    assert [pod.where.split(" spec")[0] for pod in pods_of(RUNTIME)] == ["f.yaml: TrainingRuntime torch"] * 2


def test_a_train_job_without_its_runtime_is_one_clear_line():
    line = "f.yaml: TrainJob llm: its pods are in the TrainingRuntime torch: give that one too, here or with --objects"
    assert unread(JOB) == [line]
    with pytest.raises(manifests.BadManifestError, match="its pods are in the TrainingRuntime torch"):
        pods_of(JOB)


PATCHES = """
  runtimePatches:
  - manager: example.com/user
  - manager: example.com/user
    trainingRuntimeSpec:
      template:
        spec:
          replicatedJobs:
          - {name: other, template: {spec: {template: {metadata: {annotations: {a: other}}}}}}
          - name: node
            template:
              spec:
                template:
                  metadata: {annotations: {gracekeeper.dev/checkpoint-size: 2Gi}}
                  spec: {terminationGracePeriodSeconds: 88, containers: [{name: node, env: [{name: A, value: "9"}]}]}
          - {name: node}
"""


def test_the_patches_of_a_train_job_come_last():
    _, node = pods_of(JOB + PATCHES, RUNTIME)
    assert node.pod["metadata"]["annotations"]["gracekeeper.dev/checkpoint-size"] == "2Gi"
    assert "other" not in node.pod["metadata"]["annotations"].values()
    assert node.pod["spec"]["terminationGracePeriodSeconds"] == 88
    assert {"name": "A", "value": "9"} in node.pod["spec"]["containers"][0]["env"]
    assert unread(JOB + PATCHES, RUNTIME) == []


@pytest.mark.parametrize("field", ["annotations", "labels"])
def test_what_a_train_job_says_of_itself_reaches_no_pod(field):
    job = JOB.replace("  trainer:", f"  {field}: {{gracekeeper.dev/step-seconds: '5', other: x}}\n  trainer:")
    _, node = pods_of(job, RUNTIME)
    assert "step-seconds" not in str(node.pod["metadata"])
    line = f"spec.{field} reach no pod: use runtimePatches (Trainer 2.2 and newer) or podTemplateOverrides (2.1)"
    assert unread(job, RUNTIME) == [f"f.yaml: TrainJob llm: {line}"]
    assert unread(JOB.replace("  trainer:", f"  {field}: {{other: x}}\n  trainer:"), RUNTIME) == []


EXPERIMENT = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: search, namespace: team-b}
spec:
  trialTemplate:
    trialSpec:
      apiVersion: VERSION
      kind: KIND
      spec: SPEC
"""


@pytest.mark.parametrize(
    ("version", "kind", "spec", "owner"),
    [
        ("batch/v1", "Job", "{template: {spec: {containers: [{name: c}]}}}", "Job"),
        (
            "kubeflow.org/v1",
            "TFJob",
            "{tfReplicaSpecs: {Worker: {template: {metadata: {labels: {own: '1'}}, spec: {containers: [{name: c}]}}}}}",
            "TFJob",
        ),
        (
            "jobset.x-k8s.io/v1alpha2",
            "JobSet",
            "{replicatedJobs: [{name: a, template: {spec: {template: {spec: {containers: [{name: c}]}}}}}]}",
            "Job",
        ),
    ],
)
def test_a_trial_of_katib_is_owned_by_its_own_object(version, kind, spec, owner):
    (pod,) = pods_of(EXPERIMENT.replace("VERSION", version).replace("KIND", kind).replace("SPEC", spec))
    metadata = pod.pod["metadata"]
    assert metadata["ownerReferences"][0]["kind"] == owner
    assert pod.namespace == "team-b"
    katib = {"katib.kubeflow.org/trial": "search", "katib.kubeflow.org/experiment": "search"}
    assert metadata["labels"].items() >= katib.items()
    assert metadata["labels"].get("own") == ("1" if kind == "TFJob" else None)


def test_a_trial_that_is_in_a_config_map_is_said():
    text = "{apiVersion: kubeflow.org/v1beta1, kind: Experiment, metadata: {name: s}, spec: {trialTemplate: {}}}"
    assert unread(text) == ["f.yaml: Experiment s: its trials are in a ConfigMap: give the object of a trial"]


@pytest.mark.parametrize(
    ("version", "spec", "nodes", "replicas"),
    [
        (
            "kubeflow.org/v1, kind: PyTorchJob",
            "pytorchReplicaSpecs: {Master: ONE, Worker: {<<: ONE, replicas: 3}}",
            "4",
            4,
        ),
        ("kubeflow.org/v1, kind: PyTorchJob", "pytorchReplicaSpecs: {Worker: {<<: ONE, replicas: 3}}", "3", 3),
        (
            "kubeflow.org/v1, kind: PyTorchJob",
            "elasticPolicy: {minReplicas: 2, maxReplicas: 5}, pytorchReplicaSpecs: {Worker: {<<: ONE, replicas: 3}}",
            "2:5",
            3,
        ),
        (
            "kubeflow.org/v1, kind: PyTorchJob",
            "elasticPolicy: {nProcPerNode: 5}, pytorchReplicaSpecs: {Worker: {<<: ONE, replicas: 3}}",
            "3:3",
            3,
        ),
        (
            "kubeflow.org/v2beta1, kind: MPIJob",
            "mpiReplicaSpecs: {Worker: {<<: ONE, replicas: 2}, Launcher: ONE}",
            None,
            2,
        ),
        (
            "kubeflow.org/v1, kind: TFJob",
            "tfReplicaSpecs: {Worker: {<<: ONE, replicas: 2}, Chief: ONE, PS: {<<: ONE, replicas: 7}}",
            None,
            3,
        ),
        ("elastic.pytorch.org/v1alpha1, kind: ElasticJob", "replicaSpecs: {Worker: {<<: ONE, replicas: 2}}", None, 2),
        (
            "batch.volcano.sh/v1alpha1, kind: Job",
            "tasks: [{<<: ONE, replicas: 3}, {<<: ONE}, {replicas: 9, template: {spec: {containers: [{name: ps}]}}}]",
            None,
            4,
        ),
        ("batch.volcano.sh/v1alpha1, kind: Job", "tasks: [{<<: ONE, replicas: many}]", None, 0),
        ("example.com/v1, kind: Job", "replicaSpecs: {Worker: {<<: ONE, replicas: 2}}", None, 0),
    ],
)
def test_the_replicas_of_a_job_by_role_are_read(version, spec, nodes, replicas):
    one = "{template: {spec: {containers: [{name: c, resources: {limits: {nvidia.com/gpu: 1}}}]}}}"
    text = f"{{apiVersion: {version}, metadata: {{name: j}}, spec: {{{spec.replace('ONE', '&one ' + one, 1)}}}}}"
    pod = pods_of(text.replace("ONE", "*one"))[0]
    environment = {entry["name"]: entry["value"] for entry in pod.pod["spec"]["containers"][0].get("env") or ()}
    assert environment.get("PET_NNODES") == nodes
    assert pod.replicas == replicas
    assert facts_in_files(pod, None).replicas == facts_in_files(pod, []).replicas == replicas


def test_a_number_of_nodes_that_the_container_has_is_kept():
    env = "[{name: PET_NNODES, value: '9'}]"
    template = f"{{template: {{spec: {{containers: [{{name: c, env: {env}}}]}}}}}}"
    (pod,) = pods_of(
        "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: j},"
        f" spec: {{pytorchReplicaSpecs: {{Master: {template}}}}}}}"
    )
    assert pod.pod["spec"]["containers"][0]["env"] == [{"name": "PET_NNODES", "value": "9"}]


ARGO = """
apiVersion: argoproj.io/v1alpha1
kind: KIND
metadata: {name: w}
spec:
  podMetadata: {labels: {all: "1"}}
  volumes: [{name: a, emptyDir: {}}]
  nodeSelector: {pool: gpu}
  volumeClaimTemplates: [{metadata: {name: ckpt}, spec: {storageClassName: fast}}]
  templates:
  - name: all
    dag: {tasks: [{name: x, templateRef: {name: shared, template: t}}, {name: y, template: set}]}
  - name: steps
    steps: [[{name: x, templateRef: {name: shared, template: t}}], [{name: z, template: set}]]
  - name: script
    metadata: {annotations: {gracekeeper.dev/checkpoint-size: 1Gi}}
    script: {image: i, command: [python], source: "print()"}
    sidecars: [{name: s}]
    initContainers: [{name: i}]
    volumes: [{name: b, emptyDir: {}}]
    nodeSelector: {pool: own}
    podSpecPatch: "{containers: [{name: main, image: patched}], priority: 5}"
  - name: set
    containerSet: {containers: [{name: one}, {name: two}]}
    podSpecPatch: "{{workflow.parameters.patch}}"
  - name: other
    resource: {action: create}
  - name: filled-in
    resource: {action: apply, manifest: "{kind: Pod, metadata: {name: {{workflow.name}}}}"}
  - name: text
    resource: {action: create, manifest: hello}
  - name: look
    resource: {action: get, manifest: "{kind: Pod}"}
"""


@pytest.mark.parametrize("kind", ["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate"])
def test_each_template_of_a_workflow_with_containers_is_a_pod(kind):
    script, of_set = pods_of(ARGO.replace("KIND", kind))
    spec, metadata = script.pod["spec"], script.pod["metadata"]
    assert spec["containers"] == [{"name": "main", "image": "patched", "command": ["python"]}, {"name": "s"}]
    assert [volume["name"] for volume in spec["volumes"]] == ["a", "b", "ckpt"]
    assert (spec["initContainers"], spec["nodeSelector"], spec["priority"]) == ([{"name": "i"}], {"pool": "own"}, 5)
    assert metadata["annotations"] == {
        "kubectl.kubernetes.io/default-container": "main",
        "gracekeeper.dev/checkpoint-size": "1Gi",
    }
    assert metadata["labels"] == {"workflows.argoproj.io/workflow": "w", "all": "1"}
    assert metadata["ownerReferences"][0]["kind"] == "Workflow"
    assert of_set.pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "one"
    assert of_set.pod["spec"]["nodeSelector"] == {"pool": "gpu"}
    facts = facts_in_files(script, [])
    assert facts.claims["w-ckpt"]["spec"] == {"storageClassName": "fast"}
    assert facts.missing == ()


def test_a_cron_workflow_holds_a_workflow():
    spec = yaml.safe_load(ARGO)["spec"]
    head = {"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "metadata": {"name": "w"}}
    pods = pods_of(yaml.safe_dump({**head, "spec": {"workflowSpec": spec}}))
    assert len(pods) == 2
    assert pods[0].claims.keys() == {"w-ckpt"}


def test_what_of_a_workflow_is_elsewhere_is_said():
    assert unread(ARGO.replace("KIND", "Workflow")) == [
        "f.yaml: Workflow w: template all refers to the WorkflowTemplate shared: give that one",
        "f.yaml: Workflow w: template steps refers to the WorkflowTemplate shared: give that one",
        "f.yaml: Workflow w: template other creates an object of its own: give that one",
        "f.yaml: Workflow w: template filled-in creates an object of its own: give that one",
        "f.yaml: Workflow w: template text creates an object of its own: give that one",
    ]
    only = "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: w}, spec: {workflowTemplateRef: {name: t}}}"
    assert unread(only) == ["f.yaml: Workflow w: its templates are in the WorkflowTemplate t: give that one"]
    with pytest.raises(manifests.BadManifestError, match="in the WorkflowTemplate t: give that one"):
        pods_of(only)


RESOURCE = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: w, namespace: team-b}
spec:
  templates:
  - name: train
    resource:
      action: create
      manifest: |
        apiVersion: batch/v1
        kind: Job
        metadata: {name: made}
        spec: {template: {spec: {containers: [{name: c}]}}}
"""


def test_an_object_that_a_workflow_creates_is_read():
    (pod,) = pods_of(RESOURCE)
    assert pod.namespace == "team-b"
    assert pod.pod["metadata"]["ownerReferences"][0].items() >= {"kind": "Job", "name": "made"}.items()
    assert unread(RESOURCE) == []


@pytest.mark.parametrize("patch", ["[", "[]", "5", "[" * 10_000])
def test_a_patch_of_a_workflow_that_cannot_be_read_changes_nothing(patch):
    text = ARGO.replace("KIND", "Workflow").replace("{containers: [{name: main, image: patched}], priority: 5}", patch)
    assert pods_of(text)[0].pod["spec"]["containers"][0]["image"] == "i"


def test_a_stateful_set_s_claims_are_known_and_what_the_cluster_holds_wins():
    text = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec:
  template: {spec: {containers: [{name: c}]}}
  volumeClaimTemplates: [{metadata: {name: ckpt}, spec: {storageClassName: template}}]
"""
    (pod_in_file,) = pods_of(text)
    assert pod_in_file.pod["spec"]["volumes"] == [{"name": "ckpt", "persistentVolumeClaim": {"claimName": "ckpt-s-0"}}]
    assert facts_in_files(pod_in_file, []).claims["ckpt-s-0"]["spec"] == {"storageClassName": "template"}
    bound = {"kind": "PersistentVolumeClaim", "metadata": {"name": "ckpt-s-0"}, "spec": {"volumeName": "pv"}}
    assert facts_in_files(pod_in_file, [bound]).claims["ckpt-s-0"]["spec"] == {"volumeName": "pv"}


def test_pods_of_a_ray_job_belong_to_a_ray_cluster_but_its_submitter_to_a_job():
    text = """
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: r}
spec:
  rayClusterSpec: {headGroupSpec: {template: {spec: {containers: [{name: h}]}}}}
  submitterPodTemplate: {spec: {containers: [{name: s}]}}
"""
    head, submitter = (pod.pod["metadata"] for pod in pods_of(text))
    assert head["labels"] == {"ray.io/cluster": "r", "ray.io/originated-from-crd": "RayJob"}
    assert head["ownerReferences"][0]["kind"] == "RayCluster"
    assert submitter["labels"] == {"batch.kubernetes.io/job-name": "r"}
    assert submitter["ownerReferences"][0]["kind"] == "Job"


@pytest.mark.parametrize(
    ("manifest", "numbers", "labels"),
    [
        (
            "{apiVersion: batch/v1, kind: Job, spec: {completionMode: Indexed, completions: 8, template: TEMPLATE}}",
            (8, None),
            {},
        ),
        (
            (
                "{apiVersion: batch/v1, kind: CronJob,"
                " spec: {jobTemplate: {spec: {completionMode: Indexed, parallelism: 2, template: TEMPLATE}}}}"
            ),
            (None, 2),
            {},
        ),
        (
            (
                "{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, spec: {replicatedJobs:"
                " [{replicas: 3, template: {spec: {completions: 4, parallelism: 4, template: TEMPLATE}}}]}}"
            ),
            (4, 4),
            {"jobset.sigs.k8s.io/replicatedjob-replicas": "3"},
        ),
    ],
)
def test_an_indexed_job_s_pods_carry_their_index_and_the_job_is_known(manifest, numbers, labels):
    (pod_in_file,) = pods_of(manifest.replace("TEMPLATE", "{spec: {containers: [{name: c}]}}"))
    assert pod_in_file.pod["metadata"]["annotations"] == {"batch.kubernetes.io/job-completion-index": "0"}
    assert pod_in_file.pod["metadata"].get("labels", {}).items() >= labels.items()
    job = facts_in_files(pod_in_file, None).job
    assert job is not None
    assert job["spec"]["completionMode"] == "Indexed"
    assert (job["spec"].get("completions"), job["spec"].get("parallelism")) == numbers
    assert facts_in_files(pod_in_file, []).job == job


@pytest.mark.parametrize(
    "manifest",
    [
        "{apiVersion: batch/v1, kind: Job, spec: {completions: 8, template: TEMPLATE}}",
        (
            "{apiVersion: batch.volcano.sh/v1alpha1, kind: Job,"
            " spec: {completionMode: Indexed, tasks: [{template: TEMPLATE}]}}"
        ),
        (
            "{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, spec: {replicatedJobs:"
            " [{template: {spec: {completionMode: NonIndexed, template: TEMPLATE}}}]}}"
        ),
    ],
)
def test_pods_that_no_indexed_job_makes_carry_no_index(manifest):
    (pod_in_file,) = pods_of(manifest.replace("TEMPLATE", "{spec: {containers: [{name: c}]}}"))
    assert "annotations" not in pod_in_file.pod["metadata"]
    assert facts_in_files(pod_in_file, None).job is None


def test_the_job_of_a_pod_is_found_among_the_objects_of_its_namespace():
    (pod_in_file,) = pods_of("""
kind: Pod
metadata:
  annotations: {batch.kubernetes.io/job-completion-index: "0"}
  ownerReferences: [{apiVersion: batch/v1, kind: Job, name: train, controller: true}]
spec: {containers: [{name: c}]}
""")
    jobs = [
        {"kind": "Job", "metadata": {"name": name, "namespace": namespace}, "spec": {}}
        for name, namespace in [("train", "team-a"), ("train", "team-b"), ("another", "team-a")]
    ]
    assert facts_in_files(pod_in_file, jobs).job == jobs[0]
    assert facts_in_files(pod_in_file, jobs[1:]).job is None


def test_a_leader_worker_set_tells_its_size_on_its_pods():
    text = """
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: l}
spec: {leaderWorkerTemplate: {size: 4, workerTemplate: {spec: {containers: [{name: c}]}}}}
"""
    (pod_in_file,) = pods_of(text)
    assert pod_in_file.pod["metadata"]["annotations"] == {"leaderworkerset.sigs.k8s.io/size": "4"}
    assert pod_in_file.pod["metadata"]["labels"] == {"leaderworkerset.sigs.k8s.io/name": "l"}
    assert pod_in_file.pod["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"


@pytest.mark.parametrize(
    ("version", "kind"),
    [("sparkoperator.k8s.io/v1beta2", "SparkApplication"), ("tekton.dev/v1", "TaskRun")],
)
def test_a_kind_that_only_its_operator_understands_is_one_clear_line(version, kind, tmp_path, capsys):
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{}}\n"
    line = f"{kind} x: only its operator knows the pods that come of it; give one of them (kubectl get pod -o yaml)"
    (tmp_path / "f.yaml").write_text(text)
    assert main(["mutate", "-f", str(tmp_path / "f.yaml")]) == 2
    assert line in capsys.readouterr().err
    (tmp_path / "f.yaml").write_text(f"{text}---\nkind: Pod\nspec: {{containers: [{{name: a}}]}}\n")
    assert main(["mutate", "-f", str(tmp_path / "f.yaml")]) == 1
    shown = capsys.readouterr()
    assert line in shown.err
    assert "kind: Pod" in shown.out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {templates: 5}}", "not shaped as its kind is"),
        ("{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, spec: []}", "its pods are in the"),
        ("{apiVersion: apps/v1, kind: StatefulSet, spec: [1]}", "an object is not shaped as its kind is"),
        ("[{kind: ConfigMap}]", "a document is no Kubernetes object"),
        ("{kind: Service}", "f.yaml: no pod and no pod template in it, only Service"),
        ("{kind: List, items: [{kind: A}, {kind: B}, {kind: A}]}", "no pod template in it, only A, B"),
        ("{kind: List, items: [{kind: A}, {kind: B}, {kind: C}, {kind: D}, {kind: E}, {kind: F}]}", "C, D, E, ..."),
    ],
)
def test_what_holds_no_pod_is_one_clear_line(text, line):
    with pytest.raises(manifests.BadManifestError) as refused:
        pods_of(text)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
