"""What a pod needs to stop well: the seconds, the clocks inside its containers, and SIGTERM for the process that saves."""
