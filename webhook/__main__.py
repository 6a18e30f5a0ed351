"""`python -m webhook` is the command `gracekeeper`."""

import sys

from webhook.cli import main

if __name__ == "__main__":
    sys.exit(main())
