"""`python -m demo`: first without a cluster, then on one that is made for it; `--without-cluster` stops after the first half."""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from demo import without_cluster
from demo.local_server import DemoError
from tools.cluster.steps import StepError
from webhook.api import ApiError

DONE, FAILED, INTERRUPTED = 0, 1, 130
_HELP = "then run it again; `make clean` removes the cluster, to begin anew"


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it; the result is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="See what gracekeeper does.")
    parser.add_argument("--without-cluster", action="store_true", help="stop after the first half, which takes seconds")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    complaints = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        without_cluster.show(console)
        if not options.without_cluster:
            from demo import with_cluster  # noqa: PLC0415  # loads the Kubernetes client

            with_cluster.show(console)
    except KeyboardInterrupt:
        complaints.print("\ndemo: stopped; `make demo` begins again, `make clean` removes the cluster if there is one")
        return INTERRUPTED
    except DemoError as error:
        complaints.print(f"demo: {error}")
        return FAILED
    except (StepError, ApiError, AssertionError, OSError, subprocess.CalledProcessError) as error:
        complaints.print(_complaint(str(error)))
        return FAILED
    return DONE


def _complaint(message: str) -> str:
    """One line with what to do, last, where it stays in sight; above it what a program printed."""
    if "\n" not in message:
        return f"demo: {message}: mend this, {_HELP}"
    return f"{message}\ndemo: the last step failed, as is told above: mend this, {_HELP}"


if __name__ == "__main__":
    sys.exit(main())
