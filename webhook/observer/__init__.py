"""Watches how training pods end, and keeps what that teaches: a process of its own, so that no storm of pods slows admission."""
