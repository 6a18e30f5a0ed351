"""What was said about a pod: the keys, and who set which of them."""
