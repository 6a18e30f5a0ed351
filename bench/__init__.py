"""How fast and how small gracekeeper is, beside a minimal handler that decides nothing: the floor.

Law: ratios count. Whoever is compared is measured in turns, in one run, on the same cores; nothing here passes or fails.
"""
