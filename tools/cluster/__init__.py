"""A kind cluster of two nodes with gracekeeper's images, with or without a container registry in reach.

Law: nothing is removed that was not made here; whatever takes longer than a moment says so first.
"""
