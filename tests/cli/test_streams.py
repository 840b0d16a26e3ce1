"""What a tool prints, to terminals, pipes and devices that do not take it: the work is done, and nothing is lost."""

import json
import logging
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from strange_names import CLASSES

from gluon_madapt.evaluation.tables import text_table
from gluon_madapt.names import printable
from gluon_madapt.system import streams

ENDS = {
    "device that is full": ("print('x' * 9999); done()", ">/dev/full", 1),
    "device that is full, from the first line on": ("print('x', flush=True); done()", ">/dev/full", 1),
    "device that is full, and an error": ("done(); print('x'); raise UserError('no')", ">/dev/full", 2),
    "device that is full, and a failure of ours": ("done(); print('x'); raise FailureError('no')", ">/dev/full", 1),
    "standard error that is full": ("logging.info('x' * 9999); done()", "2>/dev/full", 0),
    "standard output that is closed": ("print('x', flush=True); done()", ">&-", 0),
    "standard error that is closed": ("logging.info('x'); done()", "2>&-", 0),
    "standard error that is closed, and an error": ("done(); raise UserError('no')", "2>&-", 2),
    "all that are closed": ("print('x'); logging.info('x'); done()", "<&- >&- 2>&-", 0),
    "pipe that is closed": ("end_of_pipe(); print('x' * 9999, flush=True); done()", "| true", 141),
    "pipe that is closed, at the very end": ("end_of_pipe(); print('x'); done()", "| true", 141),
    "pipe that is closed, and an error": ("end_of_pipe(); print('x'); done(); raise UserError('no')", "| true", 2),
    "pipe that is closed, and a status": ("end_of_pipe(); print('x'); done(); sys.exit(1)", "| true", 1),
    "help on a full device": ("done(); ToolParser(description='x').parse_args(['--help'])", ">/dev/full", 1),
    "letters that the terminal does not have": ("print('Straße 🚗 \\udcff'); done()", ">/dev/null", 0),
    "bar of progress": ("work(); done()", "2>&-", 0),
}
TOOL = """
import logging, os, sys, time
from gluon_madapt.cli.command import ToolParser, run_tool
from gluon_madapt.errors import FailureError, UserError

def end_of_pipe():
    import select
    poll = select.poll()
    poll.register(1, 0)
    assert poll.poll(60000)  # until nobody reads it any more

def work():
    from gluon_madapt.system.progress import Progress
    with Progress("work", 3) as progress:
        for _ in range(3):
            progress.one_more()

def done():
    with open(sys.argv[1], "w") as file:
        file.write("all of it")

def main(arguments):
    BODY

run_tool(main)
"""


def shell(command, **variables):
    environment = dict(os.environ, PYTHONPATH=str(ROOT), **variables)
    words = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(words, check=False, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("end", ENDS)
def test_the_work_is_done_whatever_takes_what_is_printed(end, tmp_path):
    body, where, status = ENDS[end]
    (tmp_path / "tool.py").write_text(TOOL.replace("BODY", body), encoding="utf-8")
    done = shell(f"{sys.executable} {tmp_path}/tool.py {tmp_path}/result {where}", PYTHONIOENCODING="ascii")
    assert (tmp_path / "result").read_text() == "all of it", "and no library has written into what took its place"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == status
    said = "standard output: cannot be written (No space left on device): what was printed is lost, files are not"
    assert (said in done.stderr) == (where == ">/dev/full")


def test_the_doctor_stops_when_nobody_reads_what_it_says():
    doctor = f"{sys.executable} {ROOT}/tools/doctor.py --config {ROOT}/configs/mini/gta5.yaml --set data.val=null"
    done = shell(f"{doctor} | true")
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_are_printed_in_any_encoding_and_do_not_act(encoding, tmp_path):
    names = [*CLASSES, "\udcff\x07\r\x85"]
    body = f"names = {names!r}; print('\\n'.join(names)); [logging.warning('%s', one) for one in names]; "
    body += "raise UserError(names[-1])"
    (tmp_path / "tool.py").write_text(TOOL.replace("BODY", body), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "tool.py")],
        check=False,
        capture_output=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT), PYTHONIOENCODING=encoding),
    )
    expected = [printable(one).encode(encoding, "backslashreplace") for one in names]
    assert done.stderr.split(b"\n") == [*expected, b"error: " + expected[-1], b""]
    assert done.stdout.decode(encoding).count("\n") == len(names) + 1, "a line that a program prints stays a line"
    assert not set(done.stdout + done.stderr) & {0x1B, 0x07, 0x0D}


def test_a_stream_that_fails_notes_the_first_error_and_goes_on(tmp_path):
    with (tmp_path / "file").open("w") as file:
        failing = streams.LastingStream(file)
        file.write = lambda text: (_ for _ in ()).throw(OSError(5, "Input/output error"))
        failing.write("a")
        failing.write("b")
        failing.flush()
    assert failing.error.errno == 5
    assert failing.name == str(tmp_path / "file")


def test_a_table_keeps_its_cells_whatever_a_class_is_called():
    lines = text_table(("class", "IoU"), [(name, "1.0") for name in CLASSES]).split("\n")
    assert len(lines) == len(CLASSES) + 2
    assert all(line.replace("\\|", "").count("|") == 3 for line in lines)


def test_a_log_line_of_json_reads_back(tmp_path):
    from gluon_madapt.files.json_files import read_json, write_json

    for number, name in enumerate([*CLASSES, "\udcff", "\ud800", "\x85\u2028\0"]):
        write_json(tmp_path / f"{number}.json", {name: name})
        json.loads((tmp_path / f"{number}.json").read_bytes().decode("utf-8"))
        assert read_json(tmp_path / f"{number}.json") == {name: name}


def test_what_is_logged_is_one_line_but_for_a_traceback():
    formatter = streams.LineFormatter("%(message)s")
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", ("a\nb\x1b[2J",), None)
    assert formatter.format(record) == r"a\nb\x1b[2J"
