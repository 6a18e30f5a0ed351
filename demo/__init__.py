"""What gracekeeper does, shown: first by its server on this machine, then on a real cluster.

Law: nothing here decides anything; what is shown is what gracekeeper, the API server and the kubelet really did.
"""
