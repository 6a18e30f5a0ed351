"""Tests for a cluster whose API server drops native sidecars: `make e2e-all` makes one (Kubernetes 1.30.4, gate off)."""
