"""OSMO task pods: how one is treated, how its grace is split, and what is changed in it.

Law: a pod that cannot be converted without doubt is left as it is, and the decision says why.
"""
