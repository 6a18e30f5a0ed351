"""What to change in a pod, and why: pure functions on plain data, behind one door (`door.py`)."""
