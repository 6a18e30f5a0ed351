"""Turns for what keeps the event loop busy for long: one of many large reviews in each turn of the loop.

So a small review waits for one large one, and not for each.
"""

import asyncio
from collections import deque


class Turns:
    """A queue; its head goes once in each turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def take(self) -> None:
        """Wait for a turn, unless nobody has had this one."""
        loop = asyncio.get_running_loop()
        if self._taken:
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._taken = True
            loop.call_soon(self._hand_on)

    def _hand_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                asyncio.get_running_loop().call_soon(self._hand_on)
                return
        self._taken = False
