"""supervise as it will run: the built program as PID 1 of a PID namespace, against small real processes."""
