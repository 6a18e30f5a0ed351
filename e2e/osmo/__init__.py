"""OSMO's task pods on the cluster: stand-ins for its programs, its own pods, and what its listener would report."""
