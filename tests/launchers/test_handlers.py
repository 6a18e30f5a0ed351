"""The handlers that docs/signals.md shows: each is started as the page says, told to stop, and has saved."""

import re
import time

import pytest

from tests.launchers.conftest import RECORD
from tests.launchers.rows import INTERRUPTED
from tests.launchers.run import turn_to_start
from tests.launchers.trainer_container import SUPERVISE, TrainerContainer
from tests.supervise.container import SIGTERM, caught, until
from tools.cluster.settings import ROOT

HANDLERS = ROOT / "docs" / "examples" / "handlers"
PAGE = ROOT / "docs" / "signals.md"
READ = "import torch; print(torch.load('/row/checkpoint')['step'])"
START_SECONDS = 120


def test_every_handler_is_in_the_page_as_it_is_run():
    shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert sorted(shown) == sorted(path.read_text(encoding="utf-8") for path in HANDLERS.glob("*.py"))


@pytest.mark.ci
def test_plain_pytorch_saves_under_torchrun(root, program, tmp_path):
    # given
    (tmp_path / "row").mkdir()
    (tmp_path / "row" / "train.py").write_text((HANDLERS / "pytorch.py").read_text())
    words = [SUPERVISE, "forward", "--", "torchrun", "--nproc_per_node", "2", "train.py", "/row/checkpoint"]
    with turn_to_start(RECORD):
        container = TrainerContainer(tmp_path, root, program, words)
        until(lambda: _ranks_that_catch(container) == 2, "two ranks with a handler", START_SECONDS)
    # when
    time.sleep(2)  # a few steps
    container.signal()
    code = container.ends(60)
    # then
    assert code == INTERRUPTED, container.stderr
    assert not (container.row / "checkpoint.unfinished").exists()
    reader = TrainerContainer(tmp_path / "read", root, program, ["python3", "-c", READ], row=container.row)
    assert reader.ends(60) == 0, reader.stderr
    assert int(reader.stdout) > 0


def _ranks_that_catch(container) -> int:
    lines = {pid: line for pid, line in container.processes().items() if "-u train.py" in line}
    return sum(bool(caught(pid) & SIGTERM) for pid in lines)
