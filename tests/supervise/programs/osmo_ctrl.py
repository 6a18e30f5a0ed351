"""A stand-in for osmo_ctrl: each argument is a step.

start, finish, none, safe, done: one of its lines. say:TEXT, wait:SECONDS, until:PATH (a file appears), exit:CODE, kill,
message:N (a termination message, to TERMINATION_LOG). SIGTERM ends it with 1, as it does the real one.
"""

import os
import signal
import sys
import time
from pathlib import Path

LINES = {
    "start": "Exec start",
    "finish": "Exec finished",
    "none": "No Files in Output Folder",
    "safe": "All Outputs Uploaded",
    "done": "OSMO ctrl is done",
}


def stop(_number, _frame):
    os.write(1, b"ctrl got SIGTERM\n")
    os._exit(1)


signal.signal(signal.SIGTERM, stop)
for step in sys.argv[1:]:
    word, _, value = step.partition(":")
    if word in LINES:
        os.write(2, f"{time.strftime('%Y/%m/%d %H:%M:%S')} {LINES[word]}\n".encode())
    elif word == "say":
        os.write(1, f"{value}\n".encode())
    elif word == "wait":
        time.sleep(float(value))
    elif word == "until":
        while not Path(value).exists():
            time.sleep(0.02)
    elif word == "message":
        Path(os.environ["TERMINATION_LOG"]).write_text(f'{{"code":{value}}}')
    elif word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "exit":
        os._exit(int(value))
