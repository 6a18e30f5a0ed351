"""A changed configuration reaches the pods of the server by their mounted ConfigMap, without a restart; a broken one does not."""

import time

from e2e import pods
from tools.kube import eventually

POD = pods.a_pod(annotations={"checkpoint-size": "9.2GB"})
PATIENCE_SECONDS = 180
"""A kubelet looks at the ConfigMaps that a pod mounts about once a minute, and at once when something of the pod changes."""
REPLICAS = 2


def test_a_changed_configuration_is_used_by_the_same_pods_and_a_broken_one_by_none(kube, namespace, release):
    def grace():
        return pods.grace_seconds(kube.create_pod(namespace, POD))

    def reach_all(maximum_seconds):
        return all(grace() == maximum_seconds for _ in range(10 * REPLICAS))

    def valid():
        return release.metrics()["gracekeeper_config_valid"]

    def upgrade(**values):
        release.upgrade(restartOnConfigChange=False, **values)
        names = [pod["metadata"]["name"] for pod in release.pods()]
        kube("annotate", "pod", *names, f"-n{release.namespace}", f"e2e/look={time.time()}", "--overwrite")

    try:
        release.upgrade(restartOnConfigChange=False)
        eventually(lambda: len(release.pods()) == REPLICAS, "the former pods are gone", PATIENCE_SECONDS)
        before = {pod["metadata"]["name"] for pod in release.pods()}
        short = {"defaults": {"maximumGraceSeconds": 100}}
        upgrade(config=short)
        eventually(lambda: reach_all(100), "the lower maximum holds in both pods", PATIENCE_SECONDS)
        # absurdly large, which no pattern of the chart's schema can tell
        broken = {"profiles": [{"name": "a", "values": {"checkpoint-size": "9e99Gi"}}]}
        upgrade(config=broken)
        eventually(lambda: valid() == 0, "both pods tell that the file is broken", PATIENCE_SECONDS)
        assert reach_all(100)
        assert "the configuration file cannot be used" in release.test()
        upgrade()
        eventually(lambda: valid() == REPLICAS, "both pods tell that it is mended", PATIENCE_SECONDS)
        assert grace() > 100
        assert {pod["metadata"]["name"] for pod in release.pods()} == before
    finally:
        release.upgrade()
