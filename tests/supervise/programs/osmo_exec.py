"""A stand-in for osmo_exec, as ../shared facts tell of its processes: `osmo_exec.py [-checkpoint X] [-rsync] COMMAND ...`.

The command leads a group of its own in this session; it is over when it has exited and closed its output. Then comes a
last upload by `osmo`, in this process's own group, where -checkpoint is given. -rsync adds a daemon with its own group.
Like a Go program without a handler it dies on SIGTERM.
"""

import os
import subprocess
import sys

words = sys.argv[1:]
checkpoint = ""
with_rsync = False
upload_seconds = "0.1"
while words and words[0].startswith("-"):
    option = words.pop(0)
    if option == "-checkpoint":
        checkpoint = words.pop(0)
    elif option == "-upload":
        upload_seconds = words.pop(0)
    elif option == "-rsync":
        with_rsync = True
    elif option == "-idle":
        os.write(1, b"idle\n")
        os.read(0, 1)


def upload():
    os.write(1, b"upload begins\n")
    uploader = subprocess.Popen(["osmo", "-c", f"sleep {upload_seconds}; exit 0"], executable="/bin/sh")
    if uploader.wait():
        os.write(1, b"upload failed\n")
        os._exit(2)
    os.write(1, b"uploaded\n")


if with_rsync:
    subprocess.Popen(
        ["/osmo/usr/bin/rsync", "600"], executable="/bin/sleep", process_group=0, stdout=subprocess.DEVNULL
    )
command = subprocess.Popen(words, process_group=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
for output in (command.stdout, command.stderr):
    assert output is not None
    while piece := os.read(output.fileno(), 65536):
        os.write(1, piece)
    output.close()
code = command.wait()
os.write(1, b"command over\n")
if checkpoint:
    upload()
sys.stdout.flush()
os._exit(code if code >= 0 else 255)
