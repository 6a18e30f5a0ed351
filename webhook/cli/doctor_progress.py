"""One line on a terminal that tells how far a long reading is; nothing where nobody looks, or where it is quick."""

from collections.abc import Callable
from typing import TextIO

_SILENT_SECONDS = 2.0
_CLEAR = "\r\033[K"


class ProgressLine:
    """Written over itself until it is cleared."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._began = clock()
        self._is_shown = False

    def tell(self, kind: str, count: int) -> None:
        """Show how many objects of a kind were read, once two seconds have gone."""
        if self._stream.isatty() and self._clock() - self._began >= _SILENT_SECONDS:
            self._stream.write(f"{_CLEAR}reading {kind}: {count:,}")
            self._stream.flush()
            self._is_shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._is_shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._is_shown = False
