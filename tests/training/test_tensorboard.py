"""TensorBoard's curves of a training are what its log says."""

import resource
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from interrupted import interrupted_in_iteration_4
from small_experiments import CONFIG, small_experiment

from gluon_madapt.cli.command import experiment_parser
from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import read_log
from gluon_madapt.reproduction.table import Reproduction
from gluon_madapt.stages import Run, train_adversarial, train_source
from gluon_madapt.training.logger import EventFile, Logger, scalars

ENTRY = {"iteration": 1, "segmentation": 1.5, "learning_rate": 0.1, "images_per_second": 2, "waiting_for_data": 0}


@pytest.fixture
def tensorboard():
    return pytest.importorskip("tensorboardX")


def events(stage):
    """Read the one event file of a stage's folder."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    (path,) = (stage / "tensorboard").iterdir()
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        body, (check,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length : 16 + length])
        assert check == masked_crc32c(body)
        found.append(Event.FromString(body))
        content = content[16 + length :]
    return found


def curves(stage):
    """Return (step, value) of each curve, in the order in which they were written."""
    found = {}
    for event in events(stage):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def assert_as_logged(stage):
    expected = {}
    for entry in read_log(stage / "log.jsonl"):
        for name, value in scalars(entry).items():
            expected.setdefault(name, []).append((entry["iteration"], float(np.float32(value))))
    found = curves(stage)
    assert found == expected
    for points in found.values():
        steps = [step for step, _ in points]
        assert steps == sorted(set(steps)), "no step comes twice or goes backwards"
    return found


def scored(world, iterations=5):
    often = "bookkeeping={log_every: 1, eval_every: 2, checkpoint_every: 2}"
    return small_experiment(world, often, iterations=iterations)


def test_losses_rates_and_scores_are_there_at_their_iterations(tensorboard, tiny_world, tmp_path):
    experiment = scored(tiny_world, iterations=3)
    train_source(Run(experiment, tmp_path))
    train_adversarial(Run(experiment, tmp_path, tensorboard=True))
    assert not (tmp_path / "source" / "tensorboard").exists()
    found = assert_as_logged(tmp_path / "adversarial")
    losses = {f"loss/{name}" for name in ("segmentation", "adversarial_D1", "adversarial_D2", "D1", "D2")}
    losses |= {f"accuracy/{name}_{domain}" for name in ("D1", "D2") for domain in ("source", "target")}
    losses.add("gradient/adversary_share")
    rates = {"learning_rate", "images_per_second", "waiting_for_data"}
    assert losses | rates | {"val/miou", "IoU/road", "IoU/sky"} <= set(found)
    assert [step for step, _ in found["loss/D2"]] == [1, 2, 3]
    assert [step for step, _ in found["val/miou"]] == [2, 3]


def test_after_a_kill_between_checkpoints_no_step_comes_twice(tensorboard, tiny_world, tmp_path):
    experiment = scored(tiny_world)
    with interrupted_in_iteration_4():
        train_source(Run(experiment, tmp_path, tensorboard=True))
    assert [step for step, _ in curves(tmp_path / "source")["loss/segmentation"]] == [1, 2, 3]
    train_source(Run(experiment, tmp_path, tensorboard=True))
    found = assert_as_logged(tmp_path / "source")
    assert [step for step, _ in found["loss/segmentation"]] == [1, 2, 3, 4, 5]


def test_a_file_that_a_kill_has_cut_off_is_made_up_for(tensorboard, tiny_world, tmp_path):
    experiment = scored(tiny_world)
    with interrupted_in_iteration_4():
        train_source(Run(experiment, tmp_path, tensorboard=True))
    (path,) = (tmp_path / "source" / "tensorboard").iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    train_source(Run(experiment, tmp_path, tensorboard=True))
    assert_as_logged(tmp_path / "source")


def test_a_training_that_went_on_without_is_there_as_a_whole(tensorboard, tiny_world, tmp_path):
    train_source(Run(scored(tiny_world), tmp_path))
    train_source(Run(scored(tiny_world), tmp_path, tensorboard=True))  # which has nothing left to train
    assert len(assert_as_logged(tmp_path / "source")["loss/segmentation"]) == 5


def test_a_tensorboard_that_runs_forgets_the_file_before(tensorboard, tmp_path):
    EventFile(tmp_path / "tensorboard", [ENTRY])
    version, start, first = events(tmp_path)
    assert version.file_version == "brain.Event:2"
    assert (start.session_log.status, start.step) == (start.session_log.START, 0)
    assert first.step == 1


def test_fresh_moves_it_aside_with_the_stage(tensorboard, tiny_world, tmp_path):
    experiment = scored(tiny_world, iterations=1)
    for fresh in (False, True):
        train_source(Run(experiment, tmp_path, fresh=fresh, tensorboard=True))
    (old,) = tmp_path.glob("source.*.old")
    assert len(curves(old)["loss/segmentation"]) == 1
    assert len(curves(tmp_path / "source")["loss/segmentation"]) == 1


def test_workers_that_do_not_lead_write_nothing(tensorboard, tmp_path):
    log = Logger(tmp_path, is_main=False, tensorboard=True)
    log.forget_after(0)
    log.append(ENTRY)
    assert not list(tmp_path.iterdir())


def test_other_files_in_its_folder_are_left_alone(tensorboard, tmp_path):
    mine = tmp_path / "ünd 's3:'" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    for _ in range(2):
        EventFile(mine.parent)
    assert mine.read_text() == "mine"
    assert len(list(mine.parent.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_one_line(tensorboard, tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(UserError, match=r"tensorboard: cannot be written \(File exists\)"):
        EventFile(tmp_path / "tensorboard")


def test_a_full_disk_is_one_line(tensorboard, tmp_path):
    events = EventFile(tmp_path / "tensorboard")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(UserError, match=r"tensorboard: cannot be written \(File too large\)"):
            for _ in range(100):
                events.append(ENTRY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
        events._writer._py_recordio_writer._writer.raw.close()  # what the disk did not take is in its buffer


@pytest.mark.parametrize("tool", ["train_source", "train_adv", "train_proxy", "reproduce"])
def test_without_the_package_the_flag_is_refused_at_once(tool, tmp_path):
    code = f"import sys, runpy; sys.path.insert(0, r'{ROOT}/tools'); sys.modules['tensorboardX'] = None; "
    code += f"sys.argv = ['{tool}.py', *sys.argv[1:]]; "
    code += f"runpy.run_path(r'{ROOT}/tools/{tool}.py', run_name='__main__')"
    flags = ["--config", str(CONFIG), "--run-dir", str(tmp_path / "run"), "--tensorboard"]
    done = subprocess.run([sys.executable, "-c", code, *flags], check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: --tensorboard: the package tensorboardX is not installed: "
        "pip install -c constraints.txt -e '.[tensorboard]'"
    )
    assert not (tmp_path / "run").exists()


def test_a_package_that_does_not_import_is_refused_with_its_reason(monkeypatch, tmp_path):
    (tmp_path / "tensorboardX.py").write_text("import nowhere_to_be_found")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorboardX", raising=False)
    with pytest.raises(UserError, match=r"tensorboardX cannot be imported \(No module named 'nowhere_to_be_found'\)"):
        experiment_parser("", trains=True).parse_args(["--config", "x.yaml", "--tensorboard"])


def test_what_does_not_train_has_no_such_flag():
    with pytest.raises(UserError, match="unrecognized arguments: --tensorboard"):
        experiment_parser("").parse_args(["--config", "x.yaml", "--tensorboard"])


@pytest.mark.parametrize("wanted", [True, False])
def test_reproduce_hands_the_flag_to_trainings_alone(tmp_path, wanted):
    table = Reproduction(ROOT, 4, [CONFIG], folder=tmp_path, tensorboard=wanted)
    given = {job.name: "--tensorboard" in job.command for plan in table.plans for job in plan.jobs(set())}
    trainings = {name: "source" in name or "adversarial" in name or "retrain" in name for name in given}
    expected = {name: wanted and trainings[name] and "score" not in name for name in given}
    assert given == expected
