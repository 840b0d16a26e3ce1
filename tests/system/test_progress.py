"""How far something has come: a bar on a terminal, or a line now and then elsewhere."""

import io
import logging
import re
import sys
from contextlib import contextmanager

import pytest
from small_experiments import small_experiment

from gluon_madapt.stages import Run, train_adversarial, train_source
from gluon_madapt.system.progress import Progress

LOSSES = ["seg 0.123", "adv1 0.693", "adv2 0.693", "D1 1.386", "D2 1.386"]
FACTS = [*LOSSES, "lr 0.0001", "12.3 images/s"]


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def lines(self):
        """Return what was on the screen, state after state."""
        return [one.rstrip() for one in re.split("[\r\n]", self.getvalue()) if one.strip() and "\x1b" not in one]


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""

    class Clock:
        now = 100.0

    monkeypatch.setattr("tqdm.std.time", lambda: Clock.now)
    return Clock


@pytest.fixture
def elsewhere(caplog):
    """What is logged; under pytest, standard error is no terminal."""
    caplog.set_level(logging.INFO)
    return caplog


@contextmanager
def on_a_terminal():
    """Have a terminal for standard error; pytest sets its own after a fixture would have."""
    with pytest.MonkeyPatch.context() as patch:
        terminal = Terminal()
        patch.setattr(sys, "stderr", terminal)
        yield terminal


@pytest.fixture(params=[40, 80, 120, 200])
def width(request, monkeypatch):
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda file: (request.param, 24))
    return request.param


def steps(bar, clock, number, seconds, facts=None):
    for _ in range(number):
        clock.now += seconds
        bar.one_more(facts)


def test_elsewhere_it_is_a_line_every_ten_seconds_and_one_at_the_end(elsewhere, clock):
    with Progress("labels", total=10, done=2) as bar:
        steps(bar, clock, 8, 4)
    assert elsewhere.messages == [
        "labels: 2/10 [00:00<?, ?img/s]",
        "labels: 5/10 [00:12<00:20,  4.00s/img]",
        "labels: 8/10 [00:24<00:08,  4.00s/img]",
        "labels: 10/10 [00:32<00:00,  4.00s/img]",
    ]


def test_losses_and_scores_stand_beside_it(elsewhere, clock):
    with Progress("source", total=9, unit="it") as bar:
        steps(bar, clock, 8, 1, ["seg 0.5", "lr 0.1"])
        steps(bar, clock, 1, 3)
        bar.show(["seg 0.4", "mIoU 30.0"])
    assert elsewhere.messages == [
        "source: 0/9 [00:00<?, ?it/s]",
        "source: 9/9 [00:11<00:00,  1.22s/it, seg 0.5, lr 0.1]",
        "source: 9/9 [00:11<00:00,  1.22s/it, seg 0.4, mIoU 30.0]",
    ]


def test_what_was_stopped_says_how_far_it_came_and_what_was_not_begun_says_nothing(elsewhere, clock):
    with pytest.raises(KeyboardInterrupt), Progress("labels", total=10) as bar:
        steps(bar, clock, 3, 1)
        raise KeyboardInterrupt
    with Progress("labels", total=10, done=10):
        pass
    assert elsewhere.messages == ["labels: 0/10 [00:00<?, ?img/s]", "labels: 3/10 [00:03<00:07,  1.00img/s]"]


def test_what_is_hidden_says_nothing(elsewhere, clock):
    with Progress("source", total=10, hidden=True) as bar:
        steps(bar, clock, 10, 20)
    with on_a_terminal() as terminal, Progress("source", total=10, hidden=True) as bar:
        steps(bar, clock, 10, 20)
    assert not terminal.getvalue()
    assert not elsewhere.messages


def test_on_a_terminal_the_line_never_wraps_and_what_matters_most_stays(width):
    with on_a_terminal() as terminal, Progress("adversarial", total=10000, done=9990) as bar:
        for _ in range(9):
            bar.one_more(FACTS)
    assert max(map(len, terminal.lines())) <= width
    last = terminal.lines()[-1]
    assert last.startswith("adversarial: 100%|")
    assert "9999/10000"[: width - 24] in last
    shown = [fact in last for fact in FACTS]
    assert shown == sorted(shown, reverse=True), "what is left out is the end"
    assert sum(shown) >= {40: 0, 80: 1, 120: 4, 200: 7}[width]


def test_on_a_terminal_it_stays_as_one_line_and_nothing_is_logged(elsewhere):
    with on_a_terminal() as terminal, Progress("labels", total=3, done=1) as bar:
        bar.one_more()
        bar.one_more()
    assert terminal.getvalue().count("\n") == 1
    assert re.fullmatch(r"labels: 100%\|[█#]+\| 3/3 \[00:00<00:00, +[\d.]+img/s\]", terminal.lines()[-1])
    assert not elsewhere.messages


def test_warnings_appear_above_the_line():
    with on_a_terminal() as terminal:
        handler, root = logging.StreamHandler(terminal), logging.getLogger()
        root.addHandler(handler)
        with Progress("labels", total=2) as bar:
            bar.one_more()
            root.warning("00001.png: not readable")
            bar.one_more()
        root.removeHandler(handler)
    assert "\r00001.png: not readable\n" in terminal.getvalue(), "at the start of a line that was emptied before"
    assert "2/2" in terminal.lines()[-1]


def test_an_evaluation_during_a_training_goes_when_it_is_done():
    with on_a_terminal() as terminal, Progress("source", total=2) as training:
        training.one_more(["seg 0.5"])
        with Progress("evaluation", total=5) as evaluation:
            evaluation.one_more()
        training.one_more(["seg 0.5"])
    emptied = terminal.getvalue().rsplit("evaluation", maxsplit=1)[1]
    assert re.search("\r {20}", emptied)
    assert "2/2" in terminal.lines()[-1]


def test_a_training_shows_every_loss_by_name(tiny_world, tmp_path, elsewhere):
    experiment = small_experiment(tiny_world, "bookkeeping={log_every: 20, eval_every: 3, checkpoint_every: 20}")
    train_source(Run(experiment, tmp_path))
    train_adversarial(Run(experiment, tmp_path))
    lines = [line for line in elsewhere.messages if re.match("(source|adversarial): [1-9]", line)]
    number, rates = r"-?\d+\.\d{3}", r", lr [\d.]+, [\d.]+ images/s, last mIoU [\d.]+ over 15 of 19 classes"
    losses = {"source": ("seg",), "adversarial": ("seg", "adv1", "adv2", "D1", "D2")}
    watched = "".join(
        rf", right {name} {domain} [01]\.\d\d" for name in ("D1", "D2") for domain in ("source", "target")
    )
    others = {"source": "", "adversarial": rf"{watched}, share [01]\.\d\d"}
    assert len(lines) == 2
    for line, (stage, names) in zip(lines, losses.items()):
        shown = "".join(f", {name} {number}" for name in names)
        assert re.fullmatch(rf"{stage}: 3/3 \[\d\d:\d\d<00:00, +[\d.]+(it/s|s/it){shown}{others[stage]}{rates}\]", line)
