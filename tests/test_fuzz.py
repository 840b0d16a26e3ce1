"""A few altered files for every parser; tests/fuzz.py goes on for as long as one likes."""

import signal

import pytest
from fuzz import fuzz, parsers

FILES = 400


@pytest.mark.parametrize("name", ["parameters", "checkpoint", "cache", "labels", "images", "yaml"])
def test_altered_files(name, tmp_path):
    def hung(number, frame):
        raise AssertionError("no answer")

    previous = signal.signal(signal.SIGPROF, hung)
    try:
        outcome = fuzz(name, seconds=120, seed=1, folder=tmp_path, most=FILES)
    finally:
        signal.signal(signal.SIGPROF, previous)
    assert outcome["tried"] == FILES


def test_every_parser_is_fuzzed():
    assert set(parsers()) == {"parameters", "checkpoint", "cache", "labels", "images", "yaml"}
