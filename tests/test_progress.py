"""How far a pass over many images has come."""

import io
import logging
import sys

from gluon_madapt.stages.progress import Progress

from gluon_madapt.stages import progress


def test_elsewhere_than_on_a_terminal_it_is_a_line_now_and_then(monkeypatch, caplog):
    now = iter(range(0, 1000, 10))  # ten seconds an image
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with caplog.at_level(logging.INFO), Progress("labels", total=10, done=2) as bar:
        for _ in range(4):
            bar.one_more()
    assert caplog.messages == ["labels 5/10  0.1 images/s  50 s left"]


def test_on_a_terminal_it_is_a_bar_with_rate_and_time_left(monkeypatch, caplog):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with caplog.at_level(logging.INFO), Progress("labels", total=3, done=1) as bar:
        bar.one_more()
        bar.one_more()
    assert "3/3" in terminal.getvalue()
    assert "images/s" in terminal.getvalue()
    assert not caplog.messages
