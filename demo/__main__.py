"""`python -m demo`: first without a cluster, then on one that is made for it; `--without-cluster` stops after the first half."""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from demo import without_cluster
from demo.local_server import DemoError
from e2e.cluster.steps import StepError
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
    except subprocess.CalledProcessError as error:
        words = " ".join(map(str, error.cmd))[:200]
        complaints.print(f"demo: `{words}` ended with {error.returncode}: mend what it says above, {_HELP}")
        return FAILED
    except (StepError, ApiError, AssertionError, OSError) as error:
        complaints.print(f"demo: {error}: mend this, {_HELP}")
        return FAILED
    except DemoError as error:
        complaints.print(f"demo: {error}")
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
