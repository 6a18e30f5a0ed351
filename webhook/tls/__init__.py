"""Where the serving certificate comes from: a Secret that gracekeeper keeps itself, or files that somebody else renews."""
