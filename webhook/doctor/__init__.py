"""`gracekeeper doctor`: what cuts a training pod's grace in a cluster. Checks are pure functions over lists of objects."""
