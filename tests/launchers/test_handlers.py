"""The handlers that docs/signals.md shows: each is started as the page says, told to stop, and has saved."""

import re
import time
from dataclasses import dataclass

import pytest

from tests.launchers.conftest import RECORD
from tests.launchers.rows import INTERRUPTED
from tests.launchers.run import turn_to_start
from tests.launchers.trainer_container import SUPERVISE, TrainerContainer
from tests.supervise.container import SIGTERM, caught, until
from tools.cluster.settings import ROOT

HANDLERS = ROOT / "docs" / "examples" / "handlers"
PAGE = ROOT / "docs" / "signals.md"
START_SECONDS = 300
SAVE_SECONDS = 60
READ_SECONDS = 120


@dataclass(frozen=True)
class Handler:
    """A handler of the page, and a program that reads its whole checkpoint and prints the step it is of."""

    name: str
    start: tuple[str, ...]
    ranks: int
    read: str


TORCHRUN = ("torchrun", "--nproc_per_node", "2", "train.py", "/row/checkpoint")
PYTORCH = Handler("pytorch", TORCHRUN, 2, "import torch; print(torch.load('/row/checkpoint')['step'])")
OTHERS = (
    Handler(
        "lightning_callback",
        TORCHRUN,
        2,
        "import torch; print(torch.load('/row/checkpoint', weights_only=False)['global_step'])",
    ),
    Handler(
        "hugging_face",
        TORCHRUN,
        2,
        """
import json, pathlib, safetensors.torch
[folder] = pathlib.Path("/row/checkpoint").glob("checkpoint-*")
assert set(safetensors.torch.load_file(folder / "model.safetensors")) == {"layer.weight", "layer.bias"}
print(json.loads((folder / "trainer_state.json").read_text())["global_step"])
""",
    ),
    Handler(
        "deepspeed_engine",
        ("deepspeed", "--num_gpus", "2", "train.py", "/row/checkpoint"),
        2,
        """
import pathlib, torch
folder = pathlib.Path("/row/checkpoint")
folder /= (folder / "latest").read_text()
assert len([torch.load(path, weights_only=False) for path in folder.glob("zero_*_optim_states.pt")]) == 2
print(torch.load(folder / "mp_rank_00_model_states.pt", weights_only=False)["global_steps"])
""",
    ),
    Handler(
        "jax_orbax",
        ("sh", "-c", "python3 train.py /row/checkpoint; echo over"),
        1,
        """
import orbax.checkpoint as ocp
manager = ocp.CheckpointManager("/row/checkpoint")
step = manager.latest_step()
assert manager.restore(step, args=ocp.args.StandardRestore())["weights"].shape == (8, 8)
print(step)
""",
    ),
)


def test_every_handler_is_in_the_page_as_it_is_run():
    shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert sorted(shown) == sorted(path.read_text(encoding="utf-8") for path in HANDLERS.glob("*.py"))


def test_every_handler_of_the_page_is_run():
    assert {handler.name for handler in (PYTORCH, *OTHERS)} == {path.stem for path in HANDLERS.glob("*.py")}


@pytest.mark.ci
def test_plain_pytorch_saves_under_torchrun(root, program, tmp_path):
    assert step_that_is_saved(PYTORCH, root, program, tmp_path) > 0


@pytest.mark.parametrize("handler", OTHERS, ids=lambda handler: handler.name)
def test_a_framework_s_handler_saves(handler, root, program, packages, tmp_path):
    assert step_that_is_saved(handler, root, program, tmp_path, packages) > 0


def step_that_is_saved(handler, root, program, folder, packages=None) -> int:
    """Start a handler's trainer, tell it to stop, and read its checkpoint back."""
    # given
    (folder / "row").mkdir()
    (folder / "row" / "train.py").write_text((HANDLERS / f"{handler.name}.py").read_text())
    with turn_to_start(RECORD):
        container = TrainerContainer(
            folder, root, program, [SUPERVISE, "forward", "--", *handler.start], packages=packages
        )
        try:
            until(lambda: _ranks_that_catch(container) == handler.ranks, "ranks with a handler", START_SECONDS)
            # when
            time.sleep(2)  # a few steps
            container.signal()
            code = container.ends(SAVE_SECONDS)
        finally:
            container.close()
    # then
    assert code == INTERRUPTED, container.stderr
    assert not (container.row / "checkpoint.unfinished").exists()
    words = ["python3", "-c", handler.read]
    reader = TrainerContainer(folder / "read", root, program, words, row=container.row, packages=packages)
    assert reader.ends(READ_SECONDS) == 0, reader.stderr
    return int(reader.stdout.split()[-1])


def _ranks_that_catch(container) -> int:
    started = re.compile(r"^\S*python\S* (-u )?train\.py ")
    pids = [pid for pid, line in container.processes().items() if started.match(line)]
    return sum(bool(caught(pid) & SIGTERM) for pid in pids)
