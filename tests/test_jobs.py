import sys
from pathlib import Path

import pytest
from conftest import ROOT

from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.published import published_ablation
from gluon_madapt.stages import ablation
from gluon_madapt.stages.jobs import Job, run_jobs


def python(code):
    return (sys.executable, "-c", code)


def test_jobs_run_after_what_they_need(tmp_path):
    def write(name):
        return python(
            f"import os; open(r'{tmp_path}/order', 'a').write('{name} ' + os.environ['OMP_NUM_THREADS'] + ' ')"
        )

    jobs = [
        Job("c", (write("c1"), write("c2")), tmp_path / "c.log", ("b",)),
        Job("b", (write("b"),), tmp_path / "b.log", ("a",)),
        Job("a", (write("a"),), tmp_path / "logs" / "a.log"),
    ]
    done = []
    run_jobs(jobs, 2, lambda job: done.append(job.name))
    assert done == ["a", "b", "c"]
    assert (tmp_path / "order").read_text() == "a 1 b 1 c1 1 c2 1 "


def test_a_failing_command_ends_it_all_with_its_last_line_and_log(tmp_path):
    jobs = [
        Job("long", (python("import time; time.sleep(600)"),), tmp_path / "long.log"),
        Job("bad", (python("import sys; print('error: no such thing'); sys.exit(2)"),), tmp_path / "bad.log"),
        Job("never", (python("pass"),), tmp_path / "never.log", ("bad",)),
    ]
    with pytest.raises(UserError, match=r"bad: error: no such thing \(exit status 2; see .*bad\.log\)"):
        run_jobs(jobs, 2, lambda job: None)
    assert not (tmp_path / "never.log").exists()


def test_the_jobs_of_table_3_share_one_source_model_and_score_every_row():
    jobs = ablation.table_3_jobs(ROOT / "tools", Path("config.yaml"), Path("run"), 3)
    commands = [command for job in jobs for command in job.commands]
    tools = [Path(command[1]).name for command in commands]
    assert tools.count("train_source.py") == 1
    assert (tools.count("train_adv.py"), tools.count("make_proxy.py"), tools.count("train_proxy.py")) == (3, 2, 2)
    written = {str(Path(command[command.index("--out") + 1])) for command in commands if "--out" in command}
    assert written == {f"run/{row.scores}" for row in ablation.ROWS}
    assert all(command[command.index("--seed") + 1] == "3" for command in commands)
    assert {row for job in jobs for row in ablation.rows_of(job, Path("run"))} == set(ablation.ROWS)
    names = {job.name for job in jobs}
    assert all(set(job.needs) <= names for job in jobs)


def test_the_papers_numbers_are_those_of_its_table_3():
    published = [published_ablation(*row.published) for row in ablation.ROWS if row.published]
    assert published == [38.1, 41.5, 42.7, 47.1, 49.8, 50.4]
