"""A trainer that saves on SIGTERM: `trainer.py [SECONDS [CODE [WORKERS]]]`; each SIGTERM is one line."""

import os
import signal
import sys
import time

given = [float(word) for word in sys.argv[1:]]
seconds, code, workers = given + [0.1, 0, 0][len(given) :]
told: list[int] = []


def note(number, _frame):
    told.append(number)
    os.write(1, f"{os.environ.get('NAME', 'trainer')} got {number}\n".encode())


def loader():
    """A data loader: it has inherited the handler, and its death is the trainer's."""
    time.sleep(600)


signal.signal(signal.SIGTERM, note)
children = []
for _ in range(int(workers)):
    pid = os.fork()
    if not pid:
        loader()
    children.append(pid)
os.write(1, b"training\n")
while not told:
    time.sleep(0.02)
ends = time.monotonic() + seconds
while time.monotonic() < ends:
    time.sleep(0.02)
    for pid in children:
        if os.waitpid(pid, os.WNOHANG)[0]:
            os.write(1, b"a data loader died\n")
            os._exit(99)
os.write(1, b"saved\n")
for pid in children:
    os.kill(pid, signal.SIGKILL)
os._exit(int(code))
