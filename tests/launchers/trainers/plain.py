"""A trainer in plain Python: when it is told, it saves and ends."""

import time

from rank import Rank, options


def main() -> None:
    """Train until the signal comes, then save."""
    rank = Rank(options())
    rank.write("trains")
    while not rank.must_stop():
        time.sleep(0.1)
    rank.fails_early()
    rank.save()
    rank.end(rank.options.code)


if __name__ == "__main__":
    main()
