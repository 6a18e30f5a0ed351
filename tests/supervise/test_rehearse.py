"""`supervise rehearse`: what would become of a checkpoint, said before a node is drained."""

import pytest

from tests.supervise.pod import TRAINER


@pytest.mark.parametrize(
    ("script", "words", "code", "said"),
    [
        (f"{TRAINER} 1; true", ("--grace", "20"), 143, "1 were told and ended by themselves, the last after 1."),
        (f"{TRAINER} 60; true", ("--grace", "2"), 137, "CUT: 1 of 1 that were told were killed"),
        ("sleep 600; true", ("--grace", "20"), 143, "NOBODY SAVED: nobody catches SIGTERM"),
        ("trap '' TERM; sleep 600", ("--grace", "2"), 137, "CUT: nobody catches SIGTERM"),
        (f"{TRAINER} 1", ("--grace", "20", "--signal", "USR1"), 0, "1 were told and ended by themselves"),
        ("exit 5", ("--grace", "20"), 5, "the command ended before SIGTERM came"),
    ],
    ids=["saves in time", "needs longer", "no handler", "ignores it", "another signal", "ends before"],
)
def test_it_says_who_saved_and_what_was_cut(pod, script, words, code, said):
    # given: the trainer has 2 s to begin
    container = pod.run(pod.program, "rehearse", *words, "--after", "2", "--", "bash", "-c", script)
    # then
    assert container.ends() == code
    assert said in container.stderr


def test_it_says_who_got_the_signal_and_why(pod):
    # given
    container = pod.run(pod.program, "rehearse", "--grace", "20", "--after", "2", "--", *TRAINER.split(), "1")
    # then
    assert container.ends() == 0
    assert "SIGTERM comes now; SIGKILL would come in 20s" in container.stderr
    assert "SIGTERM: catches SIGTERM" in container.stderr
    assert "the container ends with 0" in container.stderr
