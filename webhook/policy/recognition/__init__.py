"""Which pods gracekeeper acts on, and what shows that a pod saves when it is told to stop."""
