import os
import sys

import pytest

from gluon_madapt.errors import UserError
from gluon_madapt.reproduction import jobs
from gluon_madapt.reproduction.jobs import Job, longest_chain_first, run_jobs
from gluon_madapt.system import children

# Until the other job has said its process id.
WAIT = "import sys, time; [time.sleep(0.05) for _ in range(200) if len(open('long.log').readlines()) < 2]"


def python(code):
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("workers", "chosen", "cores", "threads"),
    [(1, True, 8, 3), (2, True, 8, 3), (2, False, 8, 4), (2, False, 2, 1), (3, False, 8, 2), (2, False, 1, 1)],
)
def test_jobs_run_after_what_they_need_and_share_the_cores(tmp_path, workers, chosen, cores, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(children, "THREADS_CHOSEN", chosen)
    monkeypatch.setattr(children, "cores", lambda: cores)

    def write(name):
        return python(
            f"import os; open(r'{tmp_path}/order', 'a').write(f'{name} {{os.environ[\"OMP_NUM_THREADS\"]}} ')"
        )

    jobs = [
        Job("c", write("c"), tmp_path / "c.log", ("b",)),
        Job("b", write("b"), tmp_path / "b.log", ("a",)),
        Job("a", write("a"), tmp_path / "logs" / "a.log"),
    ]
    done = []
    run_jobs(jobs, workers, lambda job: done.append(job.name))
    assert done == ["a", "b", "c"]
    assert (tmp_path / "order").read_text() == f"a {threads} b {threads} c {threads} "
    assert (tmp_path / "logs" / "a.log").read_text().startswith(f"$ {sys.executable} -c ")


def test_the_longest_chain_of_jobs_is_first(tmp_path):
    needs = {"control": (), "score control": ("control",), "two": (), "proxies": ("two",), "score two": ("proxies",)}
    todo = [Job(name, ("true",), tmp_path, needed) for name, needed in needs.items()]
    order = [job.name for job in longest_chain_first(todo)]
    assert order == ["two", "control", "proxies", "score control", "score two"]
    slower = [job._replace(length=3) if job.name == "score control" else job for job in todo]
    assert [job.name for job in longest_chain_first(slower)] == [*needs]


def test_while_they_run_it_shows_what_each_command_said_last_or_its_name(tmp_path, monkeypatch):
    shown = []

    def show(self, parts):
        shown.append(parts)
        if parts == ["source  2/9", "score source"]:
            (tmp_path / "seen").touch()

    monkeypatch.setattr(jobs._StatusLine, "show", show)
    wait = f"import os, time; [time.sleep(0.05) for _ in range(400) if not os.path.exists(r'{tmp_path}/seen')]"
    speaking, silent = python(f"print('source  2/9', flush=True); {wait}"), python(wait)
    todo = [Job("source", speaking, tmp_path / "a.log"), Job("score source", silent, tmp_path / "b.log")]
    run_jobs(todo, 2, lambda job: None)
    assert ["source  2/9", "score source"] in shown


def test_a_failing_command_ends_it_all_with_its_error_and_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = [
        Job("long", python("import os, time; print(os.getpid(), flush=True); time.sleep(600)"), tmp_path / "long.log"),
        Job("bad", python(f"{WAIT}; print('error: no such thing\\nmore'); sys.exit(2)"), tmp_path / "bad.log"),
        Job("never", python("pass"), tmp_path / "never.log", ("bad",)),
    ]
    with pytest.raises(UserError, match=r"bad: error: no such thing \(exit status 2; see .*bad\.log\)"):
        run_jobs(jobs, 2, lambda job: None)
    assert not (tmp_path / "never.log").exists()
    pid = int((tmp_path / "long.log").read_text().splitlines()[-1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
