"""OSMO task pods: what is read of one (task), how it is treated (treatment), what is changed in it (conversion).

Law: a pod that cannot be converted without doubt is left as it is, and the decision says why.
"""
