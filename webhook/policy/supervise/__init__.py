"""What is added to a pod that runs `supervise`, and where it cannot run; for OSMO's tasks and for forward-sigterm.

Law: a pod that cannot be changed without doubt is left as it is, and the decision says why.
"""
