"""Runs a trainer below mpirun: torch.distributed's variables from Open MPI's, as recipes for MPIJobs do."""

import os
import runpy
import sys

os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
os.environ.setdefault("MASTER_PORT", "29500")
os.environ["RANK"] = os.environ["OMPI_COMM_WORLD_RANK"]
os.environ["WORLD_SIZE"] = os.environ["OMPI_COMM_WORLD_SIZE"]
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
