"""OSMO's task pods on real kubelets, each row in both modes: what is saved, how long it takes, what OSMO would report.

All pods that the chosen tests need run side by side (e2e/osmo/play.py); a test waits for its own and looks at it.
CI runs one row of a kind, now in one mode, now in the other; `make e2e-all` runs the others.
"""

import json
import statistics

import pytest

from e2e.osmo import chores, scenarios
from e2e.osmo.listener import Report
from e2e.osmo.play import Play
from e2e.osmo.pods import CTRL
from e2e.osmo.runs import BEFORE, CONTAINER, GATE, NATIVE, Run, Stage, converted
from e2e.osmo.timeline import timeline
from tools.cluster.settings import BUILD

NAMESPACE = "osmo"
TASK_OUTPUT = "s3://acme-osmo/workflows/groot-finetune-12/train"
URL_OUTPUT = "s3://acme-ckpt/groot/run-12"
CHECKPOINT = "s3://acme-ckpt/groot/run-12/periodic"
OUTPUTS = (TASK_OUTPUT, URL_OUTPUT)
SAVED = "checkpoint.pth"
LATER_SECONDS = 3
"""How much later than today a normal end may be."""
NOISE_SECONDS = 4
"""Of a busy machine, where the issue gives no hard bound."""

FAILED_2001 = Report("FAILED", 2001)
COMPLETED = Report("COMPLETED", 0)
OUT_OF_MEMORY = Report("FAILED_EVICTED", 3004)
"""Where the kubelet says OOMKilled and the pod has ended; 2137 where the listener saw osmo-ctrl ended before the pod."""
EVICTED_3001 = Report("FAILED_BACKEND_ERROR", 3001)

pytestmark = pytest.mark.usefixtures("release")


def rows(names, *modes, core=(), ci=()):
    """The test's run: each of these rows in each mode. `make e2e-all` runs those that neither `core` nor `ci` names."""
    keys = {f"{name}-{mode}": (name, mode) for name in names for mode in modes or (NATIVE, CONTAINER)}
    assert {*core, *ci} <= set(keys), f"not all of {core} and {ci} are among {list(keys)}"

    def marks(key):
        return pytest.mark.core if key in core else () if key in ci else pytest.mark.release

    parameters = [pytest.param(run, marks=marks(key), id=key) for key, run in keys.items()]
    return pytest.mark.parametrize("run", parameters, indirect=True)


def row(name, *modes, core=(), ci=()):
    """The test's run: one row in each mode; `core` and `ci` are modes."""
    return rows([name], *modes, core=[f"{name}-{mode}" for mode in core], ci=[f"{name}-{mode}" for mode in ci])


def compared(*keys):
    """The test's runs, all of them."""
    return pytest.mark.parametrize("runs", [keys], indirect=True, ids=[""])


@pytest.fixture(scope="module")
def play(request, kube, cluster, release, stand_ins):
    """Every run that a chosen test asks for, begun at once."""
    wanted = dict.fromkeys(key for item in request.session.items for key in _keys(item))
    control_plane = next(name for name in cluster.nodes if name != cluster.worker)
    stage = Stage(kube, NAMESPACE, stand_ins, cluster.nodes)
    with stage.open():
        chores.add_slots(kube, cluster.worker)
        kube.apply(chores.priority_class())
        play = Play(stage, wanted, cluster.worker, control_plane)
        yield play
        play.close()
        record("osmo-rows.json", play.figures())
    kube("delete", "priorityclass", chores.PRIORITY_CLASS)
    release.wait_for_rollout()


def _keys(item):
    parameters = getattr(item, "callspec", None) and item.callspec.params
    return [] if not parameters else [parameters["run"]] if "run" in parameters else parameters.get("runs", [])


@pytest.fixture
def run(play, request):
    """The run, over, in the mode that was asked for."""
    return whole(play.run(request.param), request.param)


@pytest.fixture
def runs(play, request):
    """Several runs, by row and mode."""
    return {key: whole(play.run(key), key) for key in request.param}


def whole(found: Run, key: tuple[str, str]) -> Run:
    """The run, once nothing has gone wrong with it."""
    assert found.failure is None, found.story()
    assert converted(found.versions[0].pod) == key[1], found.story()
    return found


def record(name: str, what: object) -> None:
    """Into build/, for people and for the picture."""
    BUILD.mkdir(exist_ok=True)
    (BUILD / name).write_text(json.dumps(what, indent=1) + "\n")


def is_saved(run: Run) -> bool:
    """Whether the checkpoint's own upload and every output carry the whole checkpoint."""
    return all(SAVED in run.uploaded.get(address, ()) for address in (CHECKPOINT, *OUTPUTS))


def is_uploaded(run: Run) -> bool:
    """Whether every output is there, whole."""
    return set(OUTPUTS) <= set(run.uploaded) and not run.cut


def check(condition: object, run: Run) -> None:
    """An assertion that tells the pod's story."""
    assert condition, run.story()


def check_saved_and_cut(run: Run, reported: Report = FAILED_2001) -> None:
    """Saved and uploaded; Failed, as a run that was cut must look."""
    check(is_saved(run), run)
    check(not run.cut, run)
    check(run.phase == "Failed", run)
    check(run.reported == reported, run)


# --- a task that ends by itself


@row("ends-by-itself-1", BEFORE, NATIVE, CONTAINER, ci=(NATIVE, CONTAINER))
def test_given_a_task_when_it_ends_by_itself_then_it_is_uploaded_and_succeeded(run):
    check(is_saved(run), run)
    check(run.phase == "Succeeded", run)
    check(run.reported == COMPLETED, run)


@pytest.mark.release
@compared(*[(f"ends-by-itself-{n}", mode) for n in (1, 2, 3) for mode in (BEFORE, NATIVE, CONTAINER)])
def test_given_a_task_when_it_ends_by_itself_then_it_is_over_at_most_3_s_later_than_without_gracekeeper(runs):
    took, told = {}, {}
    for mode in (BEFORE, NATIVE, CONTAINER):
        found = [run for (_, its), run in runs.items() if its == mode]
        took[mode] = statistics.median(run.finished - run.at("upload ends") for run in found)
        told[mode] = statistics.median(run.over - run.at("upload ends") for run in found)
    record("osmo-normal-end.json", {"last container ended, seconds after the upload": took, "phase seen": told})
    for mode in (NATIVE, CONTAINER):
        assert took[mode] <= took[BEFORE] + LATER_SECONDS, (took, told)


@row("uploads-longer-than-the-grace", ci=(CONTAINER,))
def test_given_an_upload_longer_than_the_grace_when_the_task_ends_by_itself_then_it_finishes(run):
    check(run.pod["spec"]["terminationGracePeriodSeconds"] < 2 * scenarios.LONG_UPLOAD_SECONDS, run)
    check(run.at("upload ends") - run.at("upload begins") >= 2 * scenarios.LONG_UPLOAD_SECONDS, run)
    check(is_saved(run), run)
    check(run.phase == "Succeeded", run)
    check(run.reported == COMPLETED, run)


@row("long-log-backlog", BEFORE, NATIVE, CONTAINER, ci=(NATIVE,))
def test_given_a_log_backlog_when_the_task_ends_by_itself_then_every_line_is_sent_first(run):
    check(run.over - run.at("log backlog") >= 12, run)
    check(run.phase == "Succeeded", run)


# --- deleted


@row("deleted-in-training", BEFORE, ci=(BEFORE,))
def test_given_no_webhook_when_deleted_in_training_then_nothing_is_saved(run):
    check(not run.happened("save begins"), run)
    check(not run.uploaded, run)
    check(run.seconds_after("deleted") < 2 + NOISE_SECONDS, run)
    check(run.phase == "Failed", run)
    check(run.reported == FAILED_2001, run)


@row("deleted-in-training", core=(NATIVE, CONTAINER))
def test_given_a_save_of_10_s_and_an_upload_of_20_s_when_deleted_in_training_then_both_finish(run):
    check_saved_and_cut(run)
    check(36 - 2 <= run.seconds_after("deleted") <= 36 + 2 * NOISE_SECONDS, run)
    check(run.ended(run.user)["exitCode"] == 143, run)


@row("deleted-as-osmo-does", ci=(CONTAINER,))
def test_given_the_finalizer_is_gone_first_when_deleted_in_training_then_it_is_saved_and_the_end_is_seen(run):
    check(run.versions[-1].gone, run)
    check_saved_and_cut(run)


@row("deleted-in-upload", BEFORE)
def test_given_no_webhook_when_deleted_in_the_upload_then_it_is_cut(run):
    check(run.cut, run)
    check(run.phase == "Failed", run)
    check(run.reported == FAILED_2001, run)


@row("deleted-in-upload", ci=(NATIVE, CONTAINER))
def test_given_a_task_when_deleted_in_the_upload_then_it_finishes_and_succeeded(run):
    check(is_saved(run), run)
    check(not run.cut, run)
    check(run.phase == "Succeeded", run)
    check(run.reported == COMPLETED, run)


@row("deleted-in-checkpoint-upload", ci=(NATIVE,))
def test_given_a_checkpoint_upload_runs_when_deleted_then_it_is_finished_and_another_follows(run):
    check_saved_and_cut(run)
    check(run.at("checkpoint upload begins", last=True) > run.at("save ends"), run)


@row("deleted-in-download", BEFORE, NATIVE, CONTAINER, ci=(NATIVE,))
def test_given_a_task_when_deleted_in_the_download_then_the_command_never_starts(run):
    check(not run.happened("command begins"), run)
    check(run.seconds_after("deleted") < 5, run)
    check(run.phase == "Failed", run)
    check(run.reported == FAILED_2001, run)


@pytest.mark.release
@compared(*[("image-cannot-be-pulled", mode) for mode in (BEFORE, NATIVE, CONTAINER)])
def test_given_an_image_that_cannot_be_pulled_when_deleted_then_it_ends_as_before(runs):
    check_ends_as_before(list(runs.values()))
    for run in runs.values():
        check(
            run.reported in {Report("FAILED_IMAGE_PULL", code) for code in (301, 302)}, run
        )  # backing off, or not yet


@compared(*[("container-cannot-start", mode) for mode in (BEFORE, NATIVE, CONTAINER)])
def test_given_a_user_container_that_cannot_start_when_deleted_then_it_ends_as_before(runs):
    """But for one number: osmo_ctrl as PID 1 ends with 2 where nobody has connected, `hold` with 1 in every phase."""
    check_ends_as_before(list(runs.values()))
    for run in runs.values():
        check(run.reported == Report("FAILED", 2002 if run.mode == BEFORE else 2001), run)


def check_ends_as_before(found):
    before, *others = found
    check(before.seconds_after("deleted") < 2 + NOISE_SECONDS, before)
    for run in others:
        check(run.seconds_after("deleted") < 5, run)
        check(run.phase == before.phase, run)


# --- what runs below osmo_exec


@row("piped-to-tee", BEFORE)
def test_given_no_webhook_when_a_pipe_is_deleted_then_nothing_is_saved(run):
    check(not run.uploaded, run)


@rows(["piped-to-tee", "output-to-a-file", "exit-trap"], ci=("piped-to-tee-native", "exit-trap-container"))
def test_given_a_shell_above_the_trainer_when_deleted_then_the_trainer_saves(run):
    check(run.happened("rsync begins"), run)
    check(not run.happened("rsync ended"), run)
    check_saved_and_cut(run)


@row("launcher", ci=(NATIVE,))
def test_given_a_launcher_with_workers_when_deleted_then_each_worker_saves(run):
    for address in (CHECKPOINT, *OUTPUTS):
        check({"checkpoint0.pth", "checkpoint1.pth"} <= run.uploaded.get(address, set()), run)
    check(not run.happened("the launcher kills"), run)
    check(len([event for event in run.events if event.event == "the launcher has SIGTERM"]) == 1, run)
    check(run.phase == "Failed", run)
    check(run.reported == FAILED_2001, run)


@row("data-loader", ci=(CONTAINER,))
def test_given_a_data_loader_when_deleted_then_only_the_trainer_is_told(run):
    check(not run.happened("the loader died"), run)
    check(SAVED in run.uploaded.get("s3://acme-ckpt/elastic", ()), run)
    check(SAVED in run.uploaded.get("s3://acme-osmo/workflows/train-reschedule-7/master", ()), run)
    check(run.reported == FAILED_2001, run)


@row("pre-stop", ci=(NATIVE,))
def test_given_a_pre_stop_sleep_when_deleted_then_it_is_saved_inside_the_limit(run):
    check_saved_and_cut(run)
    check(run.at("SIGTERM") - run.moments["deleted"] >= scenarios.PRE_STOP_SECONDS - 1, run)


@row("ignores-sigterm", ci=(CONTAINER,))
def test_given_a_trainer_that_ignores_sigterm_when_deleted_then_it_is_killed_at_its_limit(run):
    limit = scenarios.SHORT_GRACE_SECONDS / 2
    killed = run.at("command ended") - run.moments["deleted"]
    check(limit - 2 <= killed <= limit + 2 * NOISE_SECONDS, run)
    check(is_uploaded(run), run)
    check("started" in run.uploaded[TASK_OUTPUT], run)
    check(run.phase == "Failed", run)
    check(run.reported == FAILED_2001, run)


# --- failures keep what they report


@row("uploader-fails", BEFORE, NATIVE, CONTAINER, ci=(NATIVE,))
def test_given_an_uploader_that_fails_then_the_pod_failed_with_its_code(run):
    check(run.phase == "Failed", run)
    check(run.reported == Report("FAILED", 2031), run)


@row("user-command-fails", BEFORE, NATIVE, CONTAINER, ci=(CONTAINER,))
def test_given_a_user_command_that_fails_then_it_is_uploaded_and_its_code_is_reported(run):
    check(is_saved(run), run)
    check(run.phase == "Failed", run)
    check(run.reported == Report("FAILED", 3), run)


@row("access-check-fails", BEFORE, NATIVE, CONTAINER, ci=(NATIVE,))
def test_given_data_without_access_then_the_command_never_starts_and_the_pod_failed(run):
    check(not run.happened("command begins"), run)
    check(run.phase == "Failed", run)
    check(run.reported == Report("FAILED", 2014), run)


@row("attacks-its-pod", ci=(CONTAINER,))
def test_given_user_code_that_attacks_gracekeepers_folder_then_it_writes_nothing_there_and_its_outputs_are_uploaded(
    run,
):
    check(is_saved(run), run)
    managed = {file for files in run.uploaded.values() for file in files if file.startswith(("WROTE", "REMOVED"))}
    check(not managed, run)
    check(run.phase == "Succeeded", run)
    check(run.reported == COMPLETED, run)


# --- osmo-ctrl dies


@row("ctrl-crashes-no-handler", ci=(NATIVE,))
def test_given_a_trainer_without_a_handler_when_osmo_ctrl_crashes_then_it_is_over_within_30_s(run):
    check(run.seconds_after("crash") <= 30, run)
    check(run.phase == "Failed", run)
    check(2000 < run.reported.exit_code < 3000, run)


@row("ctrl-crashes-handler", ci=(CONTAINER,))
def test_given_a_trainer_with_a_handler_when_osmo_ctrl_crashes_then_it_saves_first(run):
    check(run.happened("save ends"), run)  # it prints nothing: osmo_exec dies of the next line once osmo_ctrl is gone
    check(run.seconds_after("crash") <= 30 + scenarios.CRASH_SAVE_SECONDS, run)
    check(run.phase == "Failed", run)
    check(2000 < run.reported.exit_code < 3000, run)


@rows(
    [f"ctrl-killed-{when}" for when in ("running", "uploading", "being-deleted")],
    ci=("ctrl-killed-running-native", "ctrl-killed-uploading-container"),
)
def test_given_osmo_ctrl_when_its_first_process_is_killed_then_the_pod_failed_within_30_s(run):
    check(run.seconds_after("kill") <= 30, run)
    check(run.phase == "Failed", run)
    check(run.reported == Report("FAILED", 2137), run)


@rows(["ctrl-killed-uploading", "ctrl-out-of-memory-uploading"], BEFORE)
def test_given_no_webhook_when_osmo_ctrl_is_killed_then_the_pod_failed(run):
    check(run.phase == "Failed", run)
    check(run.reported in {Report("FAILED", 2137), OUT_OF_MEMORY}, run)


@rows(
    [f"ctrl-out-of-memory-{when}" for when in ("running", "uploading", "being-deleted")],
    ci=("ctrl-out-of-memory-being-deleted-native", "ctrl-out-of-memory-uploading-container"),
)
def test_given_osmo_ctrl_when_it_is_out_of_memory_then_the_pod_failed_within_30_s(run):
    check(run.seconds_after("hog") <= 30, run)
    check(run.phase == "Failed", run)
    check(run.reported in {Report("FAILED", 2137), OUT_OF_MEMORY}, run)


@row("service-never-answers", ci=(NATIVE,))
def test_given_a_service_that_never_answers_when_deleted_after_the_upload_then_it_is_over_within_60_s(run):
    check(run.seconds_after("deleted") <= 60, run)
    check(is_saved(run), run)
    check(run.phase == "Succeeded", run)
    check(run.reported == COMPLETED, run)


# --- whoever ends the pod


@rows(["evicted", "drained", "tainted"], ci=("evicted-native", "drained-container"))
def test_given_a_disruption_when_it_ends_the_pod_then_it_is_saved_and_reported_as_such(run):
    check_saved_and_cut(run, EVICTED_3001)


@row("preempted", ci=(NATIVE,))
def test_given_a_pod_of_a_higher_priority_when_it_preempts_then_it_is_saved_and_reported_as_such(run):
    check_saved_and_cut(run, Report("FAILED_PREEMPTED", 3006))


@row("suspended-job", ci=(CONTAINER,))
def test_given_the_pod_of_a_job_when_the_job_is_suspended_then_it_is_saved(run):
    check_saved_and_cut(run)


@rows(["kubelet-restarted-in-save", "kubelet-restarted-in-upload"], ci=("kubelet-restarted-in-save-native",))
def test_given_a_pod_that_is_being_deleted_when_the_kubelet_restarts_then_it_is_saved(run):
    check_saved_and_cut(run)


@row("rescheduled", ci=(NATIVE,))
def test_given_osmo_reschedules_when_the_old_pod_is_forced_out_then_it_is_saved_beside_the_new_one(run):
    check(is_saved(run), run)
    check("forced" in run.moments, run)
    check(any(event.event == "training" for event in run.events_of_next), run)
    print(f"{run.mode}: the new pod had trained for {run.overlap_seconds} s when the old one's upload ended")


# --- the picture


@pytest.mark.release
@compared(("deleted-in-training", BEFORE), ("deleted-in-training", NATIVE))
def test_the_two_shutdowns_are_recorded_for_the_picture(runs):
    before, after = runs.values()
    recorded = {"before": timeline(before), "after": timeline(after)}
    record("osmo-timeline.json", recorded)
    assert recorded["after"]["seconds"] > recorded["before"]["seconds"]
    assert {lane["container"] for lane in recorded["after"]["containers"]} >= {CTRL, GATE}
