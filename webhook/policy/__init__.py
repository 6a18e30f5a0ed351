"""What to change in a pod, and why: pure functions on plain data, no input or output."""
