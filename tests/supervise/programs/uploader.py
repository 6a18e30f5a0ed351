"""An uploader: `uploader.py CHECKPOINT [CODE]`; on SIGTERM it says whether the checkpoint is there, and ends."""

import os
import signal
import sys
from pathlib import Path

checkpoint, code = Path(sys.argv[1]), int("".join(sys.argv[2:3]) or 0)


def upload(_number, _frame):
    os.write(1, b"uploaded\n" if checkpoint.exists() else b"nothing to upload\n")
    os._exit(code)


for number in (signal.SIGTERM, signal.SIGQUIT):
    signal.signal(number, upload)
os.write(1, b"waiting\n")
while True:
    signal.pause()
