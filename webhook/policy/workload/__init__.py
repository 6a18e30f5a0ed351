"""Under which names the terminations of a workload are remembered."""
