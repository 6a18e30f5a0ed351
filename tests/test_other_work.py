"""What a container does instead of training, by its command, and by its image where the image brings the command."""

import pytest

from webhook.policy.pod import read_pod

CAUSES = {
    ("sleep", "infinity"): "it runs sleep",
    ("tail", "-f", "/dev/null"): "it runs tail",
    ("bash", "-c", "cd /x; nvidia-smi; while true; do sleep 60; done"): "it runs sleep",
    ("bash", "-c", "service=1; nvidia-smi"): "it trains nothing",
    ("/usr/sbin/sshd", "-D"): "it runs sshd",
    ("jupyter-lab", "--ip=0.0.0.0"): "it runs jupyter-lab",
    ("start-notebook.sh",): "it runs start-notebook.sh",
    ("tensorboard", "--logdir=/x"): "it runs tensorboard",
    ("python", "-m", "tensorboard.main", "--logdir=/x"): "it runs tensorboard.main",
    ("mpirun", "-np", "8", "/opt/nccl-tests/build/all_reduce_perf", "-b", "8M"): "it runs all_reduce_perf",
    ("bash", "-c", "mpirun -np 2 osu_allreduce; sleep 9"): "it runs sleep",
    ("python", "evaluate.py", "--checkpoint_path=/x"): "it runs evaluate",
    ("torchrun", "tools/run_inference.py"): "it runs run_inference",
    ("accelerate", "launch", "-m", "lm_eval", "--model", "hf"): "it runs lm_eval",
    ("python", "/app/serve.py"): "it runs serve",
    ("neuron_parallel_compile", "torchrun", "train.py"): "it runs neuron_parallel_compile",
    ("bash", "/scripts/convert_hf.sh"): "it runs convert_hf",
    ("vllm", "serve", "m"): "it runs vllm serve",
    ("bash", "-c", "vllm \\\n serve m"): "it runs vllm serve",
    ("python", "-m", "vllm.entrypoints.openai.api_server"): "it runs vllm.entrypoints",
    ("bash", "-c", "cd /x && text-generation-launcher --port 80"): "it runs text-generation-launcher",
    ("tini", "-g", "--", "tritonserver", "--model-repository=/m"): "it runs tritonserver",
    ("dumb-init", "sleep", "9"): "it runs sleep",
    ("bash", "-c", "source ~/.bashrc && conda activate x && sleep infinity"): "it runs sleep",
    ("bash", "-c", ". /venv/bin/activate; service ssh start; sleep infinity"): "it runs sleep",
    ("python", "preprocess_data.py"): "it runs preprocess_data",
    ("python", "model_consolidation.py", "--output_dir=/x"): "it runs model_consolidation",
    # they may train
    ("bash", "-c", "source /opt/train.sh"): "",
    ("bash", "-c", "source; sleep 9"): "",
    ("python", "train.py", "--eval_steps=5"): "",
    ("python", "train_and_eval.py"): "",
    ("python", "finetune_generation.py"): "",
    ("python", "run_sft_predict.py"): "",
    ("torchrun", "--nproc_per_node=8", "main.py", "--rollout=vllm"): "",
    ("bash", "-c", "vllm serve m & torchrun train.py"): "",
    ("bash", "-c", "python train.py; sleep infinity"): "",
    ("bash", "-c", "python train.py && python evaluate.py"): "",
    ("conda", "run", "-n", "x", "python", "train.py"): "",
    ("timeout", "1h", "python", "train.py"): "",
    ("ray", "start", "--head"): "",
    ("/app/run",): "",
    ("bash", "start.sh"): "",
    ("bash", "-c", "# nothing"): "",
    ("env",) * 20: "",
    (): "",
}


def work(**container):
    return read_pod({"spec": {"containers": [{"name": "a", **container}]}}).other_work


@pytest.mark.parametrize(("command", "cause"), CAUSES.items(), ids=lambda value: repr(value)[:60])
def test_a_command_tells_what_a_container_does_instead_of_training(command, cause):
    assert work(command=list(command)) == cause


@pytest.mark.parametrize("words", [{}, {"command": ["bash"]}, {"args": ["bash"]}])
def test_a_container_with_an_open_input_and_no_script_waits(words):
    assert work(stdin=True, tty=True, **words) == "it waits for input"
    assert work(tty=True, **words) == ""
    assert work(stdin=True, tty=True, command=["python", "train.py"]) == ""


@pytest.mark.parametrize(
    ("container", "cause"),
    [
        ({"image": "vllm/vllm-openai:v1"}, "its image is that of a model server"),
        ({"image": "vllm/vllm-openai:v1", "args": ["--model", "/m"]}, "its image is that of a model server"),
        ({"image": "nvcr.example:5000/nvidia/tritonserver@sha256:0"}, "its image is that of a model server"),
        ({"image": "quay.example/jupyter/base"}, "its image is that of a notebook"),
        ({"image": "ghcr.example/nccl-tests:1"}, "its image is that of a test of the network"),
        ({"image": "jupyter/base", "args": ["python", "train.py"]}, ""),
        ({"image": "jupyter/base", "command": ["python", "train.py"]}, ""),
        ({"image": "jupyter.example.com/train"}, ""),
        ({"image": "localhost/jupyter"}, "its image is that of a notebook"),
        ({"image": "pytorch/pytorch:2.1-cuda12"}, ""),
        ({"image": "train:vllm-openai"}, ""),
        ({"image": "train", "args": ["--epochs=5"]}, ""),
        ({"image": None}, ""),
        ({}, ""),
    ],
)
def test_where_the_image_brings_the_command_it_tells_what_is_no_training(container, cause):
    assert work(**container) == cause
