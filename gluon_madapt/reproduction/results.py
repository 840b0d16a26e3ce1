"""Holds the results of a table, row by row and seed by seed: what table-N.json says, and what is computed from it."""

import statistics
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from pydantic import ConfigDict

from gluon_madapt.evaluation.published import published_tables
from gluon_madapt.files.records import AnyText, Record
from gluon_madapt.formats import NOT_RUN, mean_and_deviation, over_fewer
from gluon_madapt.reproduction.rows import CONTROL, CONTROL_PROXIES, MEASURED, PER_CLASS, SOURCE_ONLY, TITLES

# The means of a table: over all classes, and for SYNTHIA over 13 of them.
MEANS = {"miou": "mIoU", "miou13": "mIoU*"}
OVER_SOURCE, OVER_CONTROL = "over source only", "over the control"
ORDER_ALONE = "for the order alone"


class Scores(Record):
    """IoU in percent; what `gluon_madapt.evaluation.scores.summary` returns."""

    miou: Optional[float]
    iou: Dict[str, Optional[float]]
    miou13: Optional[float] = None

    def number(self, key: str) -> Optional[float]:
        """Return a mean by its key, or the IoU of a class by its name."""
        return {"miou": self.miou, "miou13": self.miou13}[key] if key in MEANS else self.iou.get(key)


class RowScores(Scores):
    """What tools/eval.py wrote, all of it."""

    model_config = ConfigDict(extra="allow")

    trained_by: Optional[List[str]] = None
    scored_by: Optional[str] = None


class Published(Scores):
    """What the paper prints of a row."""

    model_config = ConfigDict(extra="allow")

    iou: Dict[str, Optional[float]] = {}
    backbone: str = ""


class Cost(Record):
    """What a row took for one seed, without scoring.

    ``seconds`` of its trainings and network passes, of all of them if they are ``whole``; ``peak_memory_gib`` is the
    largest resident memory of any of their processes, in GiB, if it is the ``peak_of_all``; of those that are known
    otherwise.  None where it is not known.
    """

    seconds: Optional[float] = None
    whole: bool = False
    peak_memory_gib: Optional[float] = None
    peak_of_all: bool = True


class Result(Record):
    """What is known of a row for one seed; ``scores`` is None if it was not run yet."""

    seed: int
    run_folder: AnyText
    scores: Optional[RowScores] = None
    cost: Optional[Cost] = None


class TableRow(Record):
    """A row of a table, in all its seeds; of the paper's own experiments, no setting departs from the paper's."""

    row: str
    experiment: str
    encoder: str
    departures_from_the_paper: List[str] = []
    published: Optional[Published] = None
    results: List[Result]

    @property
    def is_measured(self) -> bool:
        """Whether it is of another method, measured here."""
        return self.row.endswith(f", {MEASURED}")

    @property
    def costs(self) -> List[Cost]:
        """What the seeds that were run have cost, as far as that was asked for."""
        return [result.cost for result in self.results if result.cost]

    @property
    def scores(self) -> List[RowScores]:
        """The scores of the seeds that were run."""
        return [result.scores for result in self.results if result.scores]

    def by_seed(self, key: str) -> Dict[int, float]:
        """Return a mean, or the IoU of a class, for each seed that has it."""
        numbers = {result.seed: result.scores.number(key) for result in self.results if result.scores}
        return {seed: number for seed, number in numbers.items() if number is not None}

    def values(self, key: str) -> List[float]:
        """Return a mean, or the IoU of a class, of the seeds that have it."""
        return list(self.by_seed(key).values())

    def mean(self, key: str) -> Optional[float]:
        """Return the mean of the seeds."""
        values = self.values(key)
        return statistics.mean(values) if values else None

    def classes(self, key: str = "miou") -> str:
        """Say over how many classes a mean is, if not over all."""
        return over_fewer([scores.iou for scores in self.scores if scores.number(key) is not None], key)

    def text(self, key: str) -> str:
        """Return the mean of the seeds, its deviation, and over how many classes it is if not over all."""
        return mean_and_deviation(self.values(key), len(self.results)) + self.classes(key)

    def gains(self, reference: "TableRow", key: str = "miou") -> List[float]:
        """Return what each seed has gained over another row of the same seed."""
        before = reference.by_seed(key)
        return [number - before[seed] for seed, number in self.by_seed(key).items() if seed in before]


class Quoted(Record):
    """A row that the paper quotes from others."""

    method: str
    reported_by: str
    backbone: str
    iou: List[Optional[float]]
    miou: Optional[float] = None
    miou13: Optional[float] = None


class Table(Record):
    """table-N.json."""

    table: int
    title: str
    command: AnyText
    rows: List[TableRow]
    quoted: List[Quoted] = []

    def experiments(self) -> Dict[str, List[TableRow]]:
        """Return the rows of each experiment."""
        names = dict.fromkeys(row.experiment for row in self.rows)
        return {name: [row for row in self.rows if row.experiment == name] for name in names}

    def of_each_row(self) -> List[Tuple[TableRow, bool, Dict[str, TableRow]]]:
        """Return every row, whether it is compared with the paper, and the rows that it may have gained over."""
        return [
            (row, is_compared(rows), {} if is_compared(rows) else references(rows))
            for rows in self.experiments().values()
            for row in rows
        ]

    @property
    def not_run(self) -> str:
        """Say how many results are left to be run, if any."""
        results = [result for row in self.rows for result in row.results]
        left = sum(result.scores is None for result in results)
        return f"{left} of {len(results)} results were not run yet." if left else ""

    def as_json(self) -> Dict[str, Any]:
        """Return what table-N.json holds: beside all results, means and gains for those who read the file."""
        rows = []
        for row, compared, others in self.of_each_row():
            means = {key: _spread(row.values(key), row.classes(key)) for key in MEANS if row.values(key)}
            gains = {name: row.gains(other) for name, other in others.items() if other is not row}
            content = row.model_dump(exclude_unset=True)
            content["reproduced"] = means
            if not compared:
                content["gains"] = {name: _spread(values) for name, values in gains.items() if values}
                content["published_is"] = ORDER_ALONE if row.published else None
            for result in content["results"]:
                result["state"] = "run" if result["scores"] else NOT_RUN
            rows.append(content)
        return dict(self.model_dump(exclude_unset=True), rows=rows)


def table_of(number: int, rows: Sequence[TableRow], command: str) -> Table:
    """Return a table of the paper with the rows that it quotes from others."""
    printed: Sequence[Mapping[str, Any]] = published_tables()[PER_CLASS[number]]["rows"] if number in PER_CLASS else []
    quoted = [Quoted.model_validate(row) for row in printed if row["reported_by"] != "this paper"]
    return Table(table=number, title=TITLES[number], command=command, rows=list(rows), quoted=quoted)


def is_compared(rows: Sequence[TableRow]) -> bool:
    """Tell whether an experiment's rows are set beside the paper's numbers: only if it is the paper's experiment."""
    return any(row.published for row in rows) and not any(row.departures_from_the_paper for row in rows)


def references(rows: Sequence[TableRow]) -> Dict[str, TableRow]:
    """Return the rows of an experiment that others gain over, as far as they and others were run."""
    run = {row.row: row for row in rows if row.values("miou")}
    control = run.get(CONTROL, run.get(CONTROL_PROXIES))  # Table 4 has only the control with proxies
    known = {OVER_SOURCE: run.get(SOURCE_ONLY), OVER_CONTROL: control}
    return {
        name: other
        for name, other in known.items()
        if other and any(row.gains(other) for row in rows if row is not other)
    }


def _spread(values: Sequence[float], mean_is: str = "") -> Dict[str, Any]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    spread = {"mean": statistics.mean(values), "deviation": deviation, "seeds": len(values)}
    return dict(spread, mean_is=mean_is.strip()) if mean_is else spread
