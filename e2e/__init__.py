"""gracekeeper on a real cluster: what makes the cluster, and the tests that run there."""
