"""What makes clusters and images, for the demo, the tests and the benchmark alike."""
