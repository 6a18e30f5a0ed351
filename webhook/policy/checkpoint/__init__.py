"""How many bytes a pod writes for one checkpoint: the size, an estimate of it, and this pod's share."""
