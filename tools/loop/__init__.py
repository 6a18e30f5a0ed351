"""The test loop: what `make test`, `make e2e` and `make e2e-all` run part by part, and what each part took.

Law: a part is run once, and the table of the times is printed whether it passed or failed.
"""
