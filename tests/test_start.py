"""How a container starts: who is PID 1, and what becomes of SIGTERM there."""

import subprocess
import sys

import pytest

from webhook.policy.pod.launchers import Launcher
from webhook.policy.pod.start import Relay, ShellLife, Start, read_start

STAYS, MAY, NONE = ShellLife.STAYS, ShellLife.MAY_STAY, ShellLife.NONE

SCRIPTS = {
    # the shell becomes the command
    "python train.py": Start(),
    "  python train.py --n $(nproc --all) --x $((1 + (2)))\n": Start(),
    "RANK=0 A='b c' python train.py": Start(),
    "\n# first\npython train.py;\n": Start(),
    "nvidia-smi\nexec python train.py": Start(),
    "cd /x; exec -a trainer python train.py | tee log": Start(STAYS),
    "exec -l -a trainer python train.py": Start(),
    "if true; then exec python a.py; else exec python b.py; fi": Start(),
    "trap 'stop' TERM; exec torchrun train.py": Start(launcher=Launcher.TORCHRUN),
    "": Start(),
    "# nothing": Start(),
    # the shell is still there
    "python train.py | tee log": Start(STAYS),
    "python train.py; echo done": Start(STAYS),
    "python train.py >log 2>&1 <in": Start(STAYS),
    "cd /x && python train.py >log": Start(STAYS),
    "python train.py \n \n": Start(MAY),
    "python train.py || python again.py": Start(MAY),
    "(exec python train.py)": Start(STAYS),
    "A=1": Start(STAYS),
    "case $A in a) exec python a.py;; esac": Start(),
    "python train.py &": Start(STAYS),
    "(python train.py)": Start(STAYS),
    "python train.py &>log & wait": Start(STAYS),
    "while true; do python train.py; done": Start(STAYS),
    "for i in 1 2; do python train.py --time $i; done": Start(STAYS),
    "exec >log 2>&1\npython train.py || exit 1": Start(STAYS),
    "exec > >(tee log); python train.py; exit": Start(STAYS),
    ". run": Start(STAYS),
    "eval $COMMAND": Start(STAYS),
    "pip install torchrun; torchrun --nnodes=2 train.py; echo": Start(STAYS, launcher=Launcher.TORCHRUN),
    "if true; then torchrun a.py; fi": Start(STAYS, launcher=Launcher.TORCHRUN),
    # it depends on the shell
    "cd /app; python train.py --output_dir /app/out": Start(MAY),
    "cd /x && uv sync && uv run python train.py": Start(MAY),
    "set -e\n\npython train.py # at last\n": Start(MAY),
    'echo "a; b" \\\n c; python \\"train.py': Start(MAY),
    "cat <<EOF >f\nexec sleep 1; trap x TERM\nEOF\npython train.py": Start(MAY),
    "cat <<-'E' <<<x\n\ttrap x TERM\n\tE\npython train.py": Start(MAY),
    "cat <<E\ntrap x TERM": Start(STAYS),
    "ls `which python`; cd /x;\n accelerate launch train.py": Start(MAY, launcher=Launcher.ACCELERATE),
    "ulimit -n 65536; ray start --address=head:6379 --block": Start(MAY, launcher=Launcher.RAY),
    "cd /x && bash -c 'mpirun -H a,b python train.py; echo'": Start(MAY, launcher=Launcher.MPIRUN, has_hosts=True),
    "ray start --head; python train.py; echo": Start(STAYS),
    "mkdir -p /run/sshd; /usr/sbin/sshd -De": Start(MAY, is_sshd=True),
    "/usr/sbin/sshd; python x.py": Start(MAY),
    # it traps SIGTERM
    "cleanup(){ pkill -9 -f train.py; }\ntrap cleanup EXIT SIGTERM\npython train.py &\nwait\n": Start(
        STAYS, traps_sigterm=True
    ),
    "trap 'kill -USR1 $pid; wait $pid' TERM; train & wait": Start(STAYS, traps_sigterm=True),
    "trap -- stop 15; train": Start(STAYS, traps_sigterm=True),
    "trap - TERM; train": Start(MAY),
    "trap stop INT; train": Start(STAYS),
    "cd /x; bash -c 'trap stop TERM; train & wait'": Start(MAY, traps_sigterm=True),
    # what a shell would refuse
    "python 'train.py": Start(),
    'python "train.py; $(x': Start(MAY),
    "python > ; train": Start(MAY),
}


@pytest.mark.parametrize(("script", "start"), SCRIPTS.items(), ids=lambda value: repr(value)[:60])
def test_a_line_for_a_shell_tells_whether_the_shell_stays(script, start):
    assert read_start(["bash", "-c", script]) == start


LOSES = "cd /x; python train.py | tee log"
COMMANDS = {
    ("bash", "-c", LOSES): Start(STAYS),
    ("/bin/bash", "-c", "--", LOSES): Start(STAYS),
    ("bash", "-euo", "pipefail", "-c", LOSES): Start(STAYS),
    ("bash", "-ceuo", "pipefail", LOSES): Start(STAYS),
    ("bash", "-lc", LOSES): Start(STAYS),
    ("bash", "--login", "--rcfile", "/x", "-c", LOSES): Start(STAYS),
    ("sh", "+e", "-O", "extglob", "-c", LOSES): Start(STAYS),
    ("env", "-u", "A", "B=c", "bash", "-c", LOSES): Start(STAYS),
    ("/usr/bin/env", "-S", "bash", "-c", LOSES): Start(STAYS),
    ("env", "-S", "bash -c 'a | b'"): Start(STAYS),
    ("env", "-S"): Start(),
    ("env",): Start(),
    ("sh", "-c", "torchrun train.py"): Start(MAY, launcher=Launcher.TORCHRUN),
    ("dash", "-c", "python train.py"): Start(STAYS),
    ("dash", "-c", "exec python train.py"): Start(),
    ("bash", "-c"): Start(MAY),
    ("bash",): Start(MAY),
    ("bash", "-", "train.sh"): Start(MAY),
    ("bash", "train.sh", "-c", "x"): Start(MAY),
    ("bash", "-x", "--", "train.sh"): Start(MAY),
    ("/scripts/start.sh",): Start(MAY),
    ("nohup", "nice", "-n", "5", "numactl", "-N", "0", "--", "bash", "-c", LOSES): Start(STAYS),
    ("tini", "--", "python", "train.py"): Start(init="tini"),
    ("tini", "-v", "-e", "143", "--", "bash", "-c", LOSES): Start(STAYS, init="tini"),
    ("/sbin/tini", "-vg", "--", "python", "train.py"): Start(relay=Relay.TINI_GROUP),
    ("dumb-init", "python", "train.py"): Start(relay=Relay.DUMB_INIT),
    ("dumb-init", "-r", "15:2", "-c", "--", "bash", "-c", LOSES): Start(STAYS, init="dumb-init"),
    ("conda", "run", "-n", "train", "python", "train.py"): Start(relay=Relay.CONDA_RUN),
    ("conda", "info"): Start(),
    ("mamba", "run", "python", "train.py"): Start(relay=Relay.CONDA_RUN),
    ("timeout", "1h", "python", "train.py"): Start(relay=Relay.TIMEOUT),
    ("timeout", "--foreground", "-k", "9", "1h", "bash", "-c", LOSES): Start(STAYS),
    ("uv", "run", "--frozen", "python", "train.py"): Start(),
    ("uv", "run", "--frozen", "torchrun", "train.py"): Start(launcher=Launcher.TORCHRUN),
    ("uv", "sync"): Start(),
    ("torchrun", "train.py"): Start(launcher=Launcher.TORCHRUN),
    ("mpirun", "-np", "8", "python", "train.py"): Start(launcher=Launcher.MPIRUN),
    ("/usr/sbin/sshd", "-De"): Start(is_sshd=True),
    ("/usr/sbin/sshd", "-e"): Start(),
    ("python", "run_clm.py", "--save_strategy=steps"): Start(lacks_jit_checkpoint=True),
    ("python", "run_clm.py", "--save_strategy", "steps", "--enable_jit_checkpoint"): Start(),
    ("bash", "-c", "python run_clm.py --save_total_limit 3"): Start(lacks_jit_checkpoint=True),
    ("/gracekeeper/bin/supervise", "forward", "--", "torchrun", "train.py"): Start(launcher=Launcher.TORCHRUN),
    ("/gracekeeper/bin/supervise", "gate"): Start(),
    ("env",) * 20: Start(),
    (): Start(),
}


@pytest.mark.parametrize(("command", "start"), COMMANDS.items(), ids=lambda value: repr(value)[:60])
def test_a_command_tells_who_is_pid_1(command, start):
    assert read_start(command) == start


def test_given_a_script_that_is_too_long_when_it_is_read_then_the_shell_may_stay_and_nothing_is_certain():
    start = read_start(["bash", "-c", "echo\n" * 10_000 + "trap stop TERM; train"])
    assert start == Start(MAY, is_whole=False)


REAL = [
    "./train",
    "A=1 ./train >log 2>&1",
    "./train --n $(nproc --all) `true`",
    "true\nexec ./train",
    "if true; then exec ./train; fi",
    "exec 2>&1 ./train",
    "(exec ./train); true",
    "if false; then true; else exec ./train; fi",
    "./train >log 2>&1",
    "true; ./train >log",
    "trap true INT; ./train",
    "false || ./train",
    "./train\n\n",
    "A=1; { ./train; }",
    "./train | cat",
    "./train; true",
    "./train || exit 1",
    "(./train); true",
    "./train & wait",
    "while ./train; do break; done",
    "exec >log 2>&1; ./train; exit",
    "eval './train; true'",
    "trap 'true' TERM; ./train; true",
    "f() { ./train; }; f",
    "cat <<E >f\nexec sleep 1\nE\n./train; true",
    "cd .; ./train",
    "true && ./train",
    "set -e\n\n./train # at last\n",
]
"""Lines for a shell in which the training is ./train."""


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("script", REAL, ids=repr)
def test_given_a_real_shell_when_the_reading_is_certain_then_it_is_right(script, shell, tmp_path):
    train = tmp_path / "train"
    train.write_text(f"#!{sys.executable}\nimport os\nopen('pid', 'w').write(str(os.getpid()))\n")
    train.chmod(0o755)
    # A job in the background of a shell ignores SIGINT, and bash sets no trap for a signal that is ignored.
    command = ["env", "--default-signal=INT", shell, "-c", script]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        process.wait(30)
    became = int((tmp_path / "pid").read_text()) == process.pid
    life = read_start([shell, "-c", script]).shell
    assert became in {ShellLife.NONE: (True,), ShellLife.STAYS: (False,), ShellLife.MAY_STAY: (True, False)}[life]
