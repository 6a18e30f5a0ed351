"""What was seen of pods that ended, and what it teaches."""
