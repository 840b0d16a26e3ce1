"""Table 3 of the paper as commands: what each module adds, and two controls that the paper leaves out."""

import json
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.stages.jobs import Job
from gluon_madapt.stages.run import CHECKPOINT

# Batches of target images in the row with refreshed statistics: old ones then count for half a percent.
REFRESH = 50


class Row(NamedTuple):
    """A row of the table: its text, the file with its scores, and what marks it in the paper's table, if it is there.

    ``published`` is (discriminators, proxy, multi_scale).
    """

    text: str
    scores: str
    published: Optional[Tuple[int, bool, bool]] = None


ROWS: Tuple[Row, ...] = (
    Row("source only", "source.json", (0, False, False)),
    Row("source only, statistics refreshed on target", "refreshed.json"),
    Row("control: target images seen, no adversary", "control/adversarial.json"),
    Row("one discriminator", "one/adversarial.json", (1, False, False)),
    Row("two discriminators", "adversarial.json", (2, False, False)),
    Row("one discriminator, proxies", "one/retrain.json", (1, True, False)),
    Row("two discriminators, proxies", "retrain.json", (2, True, False)),
    Row("two discriminators, proxies, multi-scale", "multi_scale.json", (2, True, True)),
)
SOURCE_ONLY, ADAPTED = ROWS[0], ROWS[6]


def table_3_jobs(tools: Path, config: Path, folder: Path, seed: int, arguments: Sequence[str] = ()) -> List[Job]:
    """Return the jobs that fill the table for one seed.

    Parameters
    ----------
    tools : Path
        The folder of the stages' scripts.
    config : Path
        The experiment.
    folder : Path
        The run folder: that of the row with two discriminators; "one" and "control" below it are those rows' folders.
    seed : int
        The seed of all of them.
    arguments : sequence of str
        More arguments for every command.
    """
    plan = _Plan(tools, config, folder, seed, tuple(arguments))
    one = ("--set", "adversarial.discriminators=1")
    control = ("--set", "adversarial.discriminators=0")
    refreshed = ("--set", f"evaluation.refresh={REFRESH}")
    return [
        plan.job("source", [plan.train("source"), plan.score("source", "source.json")]),
        plan.job("two discriminators", plan.adversarial(), needs="source"),
        plan.job("one discriminator", plan.adversarial("one", one), needs="source"),
        plan.job("proxies of two", plan.retraining(), needs="two discriminators"),
        plan.job("proxies of one", plan.retraining("one", one), needs="one discriminator"),
        plan.job("control", plan.adversarial("control", control), needs="source"),
        plan.job("refreshed", [plan.score("source", "refreshed.json", more=refreshed)], needs="source"),
        plan.job("multi-scale", [plan.score("retrain", "multi_scale.json", more=("--multi-scale",))],
                 needs="proxies of two"),
    ]  # fmt: skip


def rows_of(job: Job, folder: Path) -> List[Row]:
    """Return the rows that a job scores."""
    written = {command[command.index("--out") + 1] for command in job.commands if "--out" in command}
    return [row for row in ROWS if str(folder / row.scores) in written]


def read_score(row: Row, folder: Path) -> float:
    """Return the mIoU of a row that was scored, in percent."""
    return json.loads((folder / row.scores).read_text(encoding="utf-8"))["miou"]


class _Plan:
    _TOOLS = {"source": "train_source.py", "adversarial": "train_adv.py", "proxies": "make_proxy.py",
              "retrain": "train_proxy.py"}  # fmt: skip

    def __init__(self, tools: Path, config: Path, folder: Path, seed: int, arguments: Tuple[str, ...]):
        self._tools, self._folder = tools, folder
        self._common = ("--config", str(config), "--seed", str(seed), *arguments)

    def job(self, name: str, commands: List[Tuple[str, ...]], needs: Optional[str] = None) -> Job:
        log = self._folder / "logs" / f"{name.replace(' ', '-')}.log"
        return Job(name, tuple(commands), log, (needs,) if needs else ())

    def train(self, stage: str, variant: str = "", more: Tuple[str, ...] = ()) -> Tuple[str, ...]:
        start = ()
        if variant and stage in ("adversarial", "retrain"):
            start = ("--from", str(self._folder / "source" / CHECKPOINT))
        return self._tool(self._TOOLS[stage], variant, *start, *more)

    def score(self, stage: str, scores: str, variant: str = "", more: Tuple[str, ...] = ()) -> Tuple[str, ...]:
        out = str(self._folder / variant / scores)
        return self._tool("eval.py", variant, "--stage", stage, "--out", out, *more)

    def adversarial(self, variant: str = "", more: Tuple[str, ...] = ()) -> List[Tuple[str, ...]]:
        return [
            self.train("adversarial", variant, more),
            self.score("adversarial", "adversarial.json", variant, more),
        ]

    def retraining(self, variant: str = "", more: Tuple[str, ...] = ()) -> List[Tuple[str, ...]]:
        return [
            self.train("proxies", variant, more),
            self.train("retrain", variant, more),
            self.score("retrain", "retrain.json", variant, more),
        ]

    def _tool(self, name: str, variant: str, *arguments: str) -> Tuple[str, ...]:
        folder = str(self._folder / variant)
        return (sys.executable, str(self._tools / name), *self._common, "--run-dir", folder, *arguments)
