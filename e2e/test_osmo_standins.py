"""The stand-ins for OSMO's programs do what was seen of the real ones, each as PID 1 of a container, without gracekeeper."""

import json
import time
import uuid
from pathlib import Path

import pytest

from e2e.osmo.pods import EVIDENCE_FOLDER
from tools.cluster.steps import attempt, run
from tools.kube import eventually

SOCKET = "/osmo/data/socket/data.sock"
TRAINS = ("python3", "-u", "/trainer.py", "--save-seconds=1")
UPLOADS_FOR = {"OSMO_STANDIN_UPLOAD_SECONDS": "5"}


class Container:
    """One program as PID 1 of a container."""

    def __init__(self, image, folder: Path, program: str, arguments, environment) -> None:
        self.name = f"standin-{uuid.uuid4().hex[:8]}"
        self._message = folder / "evidence" / f"{program}-message"
        variables = {
            "OSMO_STANDIN_EVIDENCE": EVIDENCE_FOLDER,
            "OSMO_STANDIN_TERMINATION_LOG": f"{EVIDENCE_FOLDER}/{self._message.name}",
            **environment,
        }
        command = ["docker", "run", "-d", "--network=none", f"--name={self.name}", f"--entrypoint=/osmo/{program}"]
        command += [f"--env={name}={value}" for name, value in variables.items()]
        command += [f"-v={folder}/data:/osmo/data", f"-v={folder}/evidence:{EVIDENCE_FOLDER}", image, *arguments]
        run(command)

    def terminate(self) -> None:
        run(["docker", "kill", "--signal=TERM", self.name])

    def sh(self, script: str) -> str:
        return run(["docker", "exec", self.name, "sh", "-c", script])

    def exit_code(self, seconds: float = 30) -> int:
        return int(run(["docker", "wait", self.name], timeout_seconds=seconds))

    def is_running(self) -> bool:
        return run(["docker", "inspect", "--format={{.State.Running}}", self.name]).strip() == "true"

    def log(self) -> list[str]:
        done = attempt(["docker", "logs", self.name])
        return [line.split(" ", 2)[-1] for line in (done.stdout + done.stderr).splitlines()]

    def message(self):
        text = self._message.read_text() if self._message.exists() else ""
        return json.loads(text) if text else None

    def remove(self) -> None:
        attempt(["docker", "rm", "--force", self.name])


class Task:
    """osmo_ctrl and osmo_exec with a folder between them."""

    def __init__(self, stand_ins, folder: Path) -> None:
        self._images, self.folder = stand_ins, folder
        self._made: list[Container] = []
        for path in ("data/socket", "data/output", "data/input", "data/benchmarks", "evidence/uploads"):
            (folder / path).mkdir(parents=True)
        run(["chmod", "-R", "777", folder])
        (folder / "evidence" / "events").touch()
        (folder / "evidence" / "events").chmod(0o666)

    def ctrl(self, **environment: str) -> Container:
        arguments = ["-socketPath", SOCKET, "-inputPath", "/osmo/data/input/", "-outputPath", "/osmo/data/output/"]
        arguments += ["-inputs", "url:0,s3://in,", "-outputs", "task:s3://one", "-outputs", "url:s3://two,"]
        return self._keep(Container(self._images.client, self.folder, "osmo_ctrl", arguments, environment))

    def exec(self, *command: str, options=(), **environment: str) -> Container:
        arguments = ["-socketPath", SOCKET, "-userBinPath", "/osmo", *options, "-commands", command[0]]
        arguments += [word for other in command[1:] for word in ("-args", other)]
        return self._keep(Container(self._images.user, self.folder, "osmo_exec", arguments, environment))

    def until(self, event: str) -> None:
        eventually(lambda: event in self.events(), event, 30)

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in (self.folder / "evidence" / "events").read_text().splitlines()]

    def uploads(self) -> list[Path]:
        return sorted((self.folder / "evidence" / "uploads").glob("*/*"))

    def _keep(self, container: Container) -> Container:
        self._made.append(container)
        return container

    def remove(self) -> None:
        for container in self._made:
            container.remove()


@pytest.fixture
def task(stand_ins, tmp_path):
    made = Task(stand_ins, tmp_path)
    yield made
    made.remove()


def test_when_a_task_ends_then_the_phases_are_told_in_order_and_the_code_is_0(task):
    ctrl, user = task.ctrl(), task.exec(*TRAINS, "--train-seconds=1", "--save-at-end")
    assert user.exit_code() == 0
    assert "Exec finished" not in ctrl.log()[-1:]
    assert ctrl.exit_code() == 0
    messages = [
        line
        for line in ctrl.log()
        if line in {"Exec start", "Exec finished", "All Outputs Uploaded", "OSMO ctrl is done"}
    ]
    assert messages == ["Exec start", "Exec finished", "All Outputs Uploaded", "OSMO ctrl is done"]
    assert ctrl.message() == {"code": 0}
    assert [path.suffix for path in task.uploads()] == ["", ""]


def test_when_nothing_was_written_then_no_upload_begins(task):
    ctrl, user = task.ctrl(), task.exec("true")
    assert user.exit_code() == 0
    assert ctrl.exit_code() == 0
    assert "No Files in Output Folder" in ctrl.log()
    assert "All Outputs Uploaded" not in ctrl.log()


def test_when_osmo_exec_gets_sigterm_then_the_training_dies_with_it_and_osmo_ctrl_uploads_what_there_is(task):
    ctrl, user = task.ctrl(), task.exec(*TRAINS)
    task.until("training")
    user.terminate()
    assert user.exit_code(5) == 2
    assert "save begins" not in task.events()
    assert ctrl.exit_code() == 0
    assert "All Outputs Uploaded" in ctrl.log()


@pytest.mark.parametrize(("event", "environment"), [("training", {}), ("upload begins", UPLOADS_FOR)])
def test_when_osmo_ctrl_gets_sigterm_then_it_ends_with_1_and_no_message(task, event, environment):
    ctrl, _ = task.ctrl(**environment), task.exec(*TRAINS, "--train-seconds=2")
    task.until(event)
    ctrl.terminate()
    assert ctrl.exit_code(5) == 1
    assert ctrl.message() is None


def test_when_osmo_ctrl_gets_sigterm_before_osmo_exec_is_there_then_it_ends_with_2(task):
    ctrl = task.ctrl()
    eventually((task.folder / "data/socket/data.sock").exists, "the socket")
    ctrl.terminate()
    assert ctrl.exit_code(5) == 2
    assert ctrl.message() is None


def test_when_the_uploader_gets_sigterm_then_osmo_ctrl_ends_with_31_in_its_message(task):
    ctrl, _ = task.ctrl(**UPLOADS_FOR), task.exec(*TRAINS, "--train-seconds=1")
    task.until("upload of osmo begins")
    ctrl.sh("kill $(grep -lz '^upload$' /proc/[0-9]*/cmdline | cut -d/ -f3)")
    assert ctrl.exit_code() == 2
    assert ctrl.message() == {"code": 31}


def test_when_the_checkpoint_uploader_gets_sigterm_then_osmo_exec_ends_with_2_and_the_training_with_it(task):
    (task.folder / "data" / "output" / "file").touch()
    task.ctrl()
    user = task.exec(*TRAINS, options=["-checkpoint", "/tmp/models;s3://periodic;1;"], **UPLOADS_FOR)
    task.until("upload of osmo begins")
    user.sh("kill $(grep -lz '^upload$' /proc/[0-9]*/cmdline | cut -d/ -f3)")
    assert user.exit_code() == 2
    assert "save begins" not in task.events()


def test_when_the_uploader_fails_then_osmo_ctrl_ends_with_31_in_its_message(task):
    ctrl, _ = task.ctrl(OSMO_STANDIN_UPLOAD_EXIT="1"), task.exec(*TRAINS, "--train-seconds=1")
    assert ctrl.exit_code() == 2
    assert ctrl.message() == {"code": 31}


@pytest.mark.parametrize(("command", "code"), [(("sh", "-c", "exit 3"), 3), (("sh", "-c", "kill -9 $$"), 255)])
def test_when_the_command_fails_then_its_code_is_osmo_execs_and_osmo_ctrl_uploads(task, command, code):
    (task.folder / "data" / "output" / "file").touch()
    ctrl, user = task.ctrl(), task.exec(*command)
    assert user.exit_code() == code
    assert ctrl.exit_code() == 0
    assert len(task.uploads()) == 2


def test_when_access_is_denied_then_osmo_ctrl_says_14_and_osmo_exec_ends_with_0_without_the_command(task):
    ctrl, user = task.ctrl(OSMO_STANDIN_ACCESS="denied"), task.exec(*TRAINS)
    assert ctrl.exit_code() == 2
    assert ctrl.message() == {"code": 14}
    assert user.exit_code() == 0
    assert "command begins" not in task.events()


def test_when_osmo_exec_has_gone_before_the_start_then_osmo_ctrl_says_23(task):
    ctrl, user = task.ctrl(OSMO_STANDIN_DOWNLOAD_SECONDS="4"), task.exec(*TRAINS)
    task.until("download begins")
    user.terminate()
    assert user.exit_code(5) == 2
    assert ctrl.exit_code() == 2
    assert ctrl.message() == {"code": 23}


def test_when_osmo_ctrl_has_gone_then_osmo_exec_goes_on_until_it_writes(task):
    ctrl, user = task.ctrl(), task.exec("sh", "-c", "sleep 4; echo line; sleep 60")
    task.until("command begins")
    ctrl.terminate()
    assert ctrl.exit_code(5) == 1
    time.sleep(1)
    assert user.is_running()
    assert user.exit_code(10) == 2


def test_when_the_service_never_answers_then_osmo_ctrl_never_ends(task):
    ctrl, user = task.ctrl(OSMO_STANDIN_SERVICE="never"), task.exec(*TRAINS, "--train-seconds=1")
    assert user.exit_code() == 0
    task.until("upload ends")
    time.sleep(12)
    assert ctrl.is_running()


def test_when_a_background_child_keeps_the_output_open_then_the_task_waits_for_it(task):
    task.ctrl()
    began = time.monotonic()
    assert task.exec("sh", "-c", "sleep 5 & exit 0").exit_code() == 0
    assert time.monotonic() - began > 4


def test_the_command_leads_its_own_group_and_the_checkpoint_uploader_is_in_osmo_execs(task):
    task.ctrl()
    options = ["-checkpoint", "/tmp/models;s3://periodic;1;", "-enableRsync"]
    user = task.exec("sleep", "60", options=options, **UPLOADS_FOR)
    task.until("upload of osmo begins")
    script = "for p in /proc/[0-9]*; do echo $(tr '\\0' ' ' < $p/cmdline) $(cut -d' ' -f1,4,5,6 $p/stat); done"
    lines = [line.split() for line in user.sh(script).splitlines() if line.split()]
    ids_by_command = {" ".join(words[:-4]): tuple(map(int, words[-4:])) for words in lines if len(words) > 4}
    pid, parent, group, session = next(
        numbers for words, numbers in ids_by_command.items() if words.startswith("sleep")
    )
    assert (parent, group, session) == (1, pid, 1)
    pid, parent, group, _ = next(
        numbers for words, numbers in ids_by_command.items() if words.startswith("/osmo/rsync")
    )
    assert (parent, group) == (1, pid)
    assert all(numbers[2] == 1 for words, numbers in ids_by_command.items() if words.startswith("osmo data upload"))
