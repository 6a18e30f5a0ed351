"""gracekeeper: training pods get the termination grace that their checkpoint needs."""

__version__ = "0.1.0"
