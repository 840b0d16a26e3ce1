"""What came out, beside what the paper prints: Markdown to read, CSV and JSON to work with."""

import csv
import io
import statistics
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from gluon_madapt.evaluation.published import published_tables
from gluon_madapt.evaluation.tables import text_table
from gluon_madapt.files.json_files import write_json, write_text
from gluon_madapt.formats import NOT_RUN, mean_and_deviation, over_fewer
from gluon_madapt.reproduction.rows import PER_CLASS, TITLES, Row
from gluon_madapt.runs.ownership import refuse_other_table

# Departures from the paper that are listed before it is said how many more there are.
_LISTED = 8


class Result(NamedTuple):
    """What is known of a row for one seed; ``scores`` is what tools/eval.py wrote, or None if it was not run yet."""

    seed: int
    run_folder: str
    scores: Optional[Dict]


class Line(NamedTuple):
    """A row of the table, in all its seeds; ``departures`` are the settings that are not the paper's."""

    experiment: str
    encoder: str
    row: Row
    results: Sequence[Result]
    departures: Sequence[str] = ()

    def values(self, key: str) -> List[float]:
        """Return ``miou``, or ``miou13`` where there is one, of the seeds that were run."""
        found = [one.scores.get(key) for one in self.results if one.scores]
        return [value for value in found if value is not None]

    def ious(self, key: str) -> List[Dict[str, Optional[float]]]:
        """Return the IoU by class behind the means of the seeds that were run."""
        return [one.scores["iou"] for one in self.results if one.scores and key in one.scores]

    def mean(self, key: str) -> str:
        """Return a mean over the seeds, its deviation, and over how many classes it is if not over all, as text."""
        return mean_and_deviation(self.values(key), len(self.results)) + over_fewer(self.ious(key), key)

    def class_values(self, name: str) -> List[Optional[float]]:
        """Return the IoU of a class for the seeds that were run; None where it is absent."""
        return [one.scores["iou"][name] for one in self.results if one.scores]


def write_table(table: int, lines: Sequence[Line], folder: Path, command: str) -> str:
    """Write ``table-N.md``, ``.csv`` and ``.json``; return the Markdown.

    Raises
    ------
    UserError
        If they cannot be written, or files of these names hold something else.
    """
    refuse_other_table(table, folder)
    text = markdown(table, lines, command)
    write_text(folder / f"table-{table}.md", text)
    write_text(folder / f"table-{table}.csv", _csv(table, lines))
    write_json(folder / f"table-{table}.json", _json(table, lines, command))
    return text


def markdown(table: int, lines: Sequence[Line], command: str) -> str:
    """Lay out the table, and where each of its rows comes from."""
    body = _per_class_table(table, lines) if table in PER_CLASS else _plain_table(lines)
    parts = [f"# {TITLES[table]}", f"```\n{command}\n```", "mIoU in percent, on the labelled val split.", body]
    parts += _notes(lines)
    missing = sum(one.scores is None for line in lines for one in line.results)
    if missing:
        parts.append(f"{missing} of {sum(len(line.results) for line in lines)} results were not run yet.")
    return "\n\n".join([*parts, "Where each row comes from:", _origins(lines)]) + "\n"


def _notes(lines: Sequence[Line]) -> List[str]:
    """Say of each experiment that is not the paper's in what it departs."""
    found = {line.experiment: list(line.departures) for line in lines if line.departures}
    return [
        f"{experiment} departs from the paper's settings ({', '.join(keys[:_LISTED])}"
        + (f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else "")
        + "): compare the order of the rows, not the numbers."
        for experiment, keys in found.items()
    ]


def _plain_table(lines: Sequence[Line]) -> str:
    rows = []
    for line in lines:
        values, published = line.values("miou"), line.row.published
        rows.append(
            (
                line.row.text,
                line.mean("miou"),
                f"{published['miou']:.1f}" if published else "-",
                _difference(values, published and published["miou"]),
            )
        )
    return text_table(("row", "reproduced", "published", "difference"), rows)


def _per_class_table(table: int, lines: Sequence[Line]) -> str:
    """Lay out quoted rows, then each of ours as published, reproduced and their difference, by class."""
    printed = published_tables()[PER_CLASS[table]]
    classes, means = printed["classes"], _means(table)
    quoted = [
        (f"{row['method']}, {row['backbone']}", f"quoted from {row['reported_by']}", *_printed_cells(row, means))
        for row in _quoted(table)
    ]
    ours = [cells for line in lines for cells in _three_rows(line, classes, means)]
    header = ("method", "numbers", *classes, *means.values())
    return text_table(header, [*quoted, *ours])


def _three_rows(line: Line, classes: Sequence[str], means: Dict[str, str]) -> List[Sequence[str]]:
    method, published = f"{line.row.text}, {line.encoder}", line.row.published
    reproduced, differences = [], []
    for name in classes:
        values = [value for value in line.class_values(name) if value is not None]
        absent = "absent" if line.values("miou") else "-"
        reproduced.append(f"{statistics.mean(values):.1f}" if values else absent)
        differences.append(_difference(values, published["iou"][name]))
    for key in means:
        reproduced.append(line.mean(key))
        differences.append(_difference(line.values(key), published[key]))
    printed = dict(published, iou=list(published["iou"].values()))
    return [
        (f"{line.row.text}, {published['backbone']}", "published", *_printed_cells(printed, means)),
        (method, "reproduced", *reproduced),
        (method, "difference", *differences),
    ]


def _printed_cells(row: Dict, means: Dict[str, str]) -> List[str]:
    return ["-" if value is None else f"{value:.1f}" for value in [*row["iou"], *(row[key] for key in means)]]


def _means(table: int) -> Dict[str, str]:
    """Return the means of a table, by their keys in scores: over all classes, and for SYNTHIA over 13 of them."""
    return {"miou": "mIoU", "miou13": "mIoU*"} if table == 2 else {"miou": "mIoU"}


def _difference(values: Sequence[float], published: Optional[float]) -> str:
    return "-" if not values or published is None else f"{statistics.mean(values) - published:+.1f}"


def _origins(lines: Sequence[Line]) -> str:
    rows = [
        (
            f"{line.row.text}, {line.encoder}",
            str(one.seed),
            one.run_folder,
            ", ".join(one.scores["trained_by"] or ["not known"]) if one.scores else NOT_RUN,
            one.scores["scored_by"] if one.scores else NOT_RUN,
        )
        for line in lines
        for one in line.results
    ]
    return text_table(("row", "seed", "run folder", "trained by", "scored by"), rows)


def _csv(table: int, lines: Sequence[Line]) -> str:
    """Lay out a line per row and seed, then the quoted rows; numbers unrounded, empty where there are none."""
    records = [record for line in lines for record in _records(line)]
    records += [_quoted_record(table, row) for row in _quoted(table)]
    keys = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["table", *keys], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(dict(record, table=table) for record in records)
    return text.getvalue()


def _records(line: Line) -> List[Dict[str, Any]]:
    records = []
    for one in line.results:
        scores = one.scores or {}
        record = {
            "row": line.row.text,
            "experiment": line.experiment,
            "encoder": line.encoder,
            "seed": one.seed,
            "run_folder": one.run_folder,
            "trained_by": " ".join(scores.get("trained_by") or ()),
            "scored_by": scores.get("scored_by"),
            "state": "run" if scores else NOT_RUN,
        }
        for name, (reproduced, published) in _pairs(line, scores).items():
            record[f"{name} reproduced"] = reproduced
            record[f"{name} published"] = published
            both = reproduced is not None and published is not None
            record[f"{name} difference"] = reproduced - published if both else None
            if name in ("miou", "miou13") and scores and over_fewer([scores["iou"]], name):
                record[f"{name} is"] = over_fewer([scores["iou"]], name).strip()
        records.append(record)
    return records


def _pairs(line: Line, scores: Dict) -> Dict[str, Tuple[Optional[float], Optional[float]]]:
    """Return every number of a row, reproduced and published: its means, and its classes where the paper has them."""
    published = line.row.published or {}
    pairs = {key: (scores.get(key), published.get(key)) for key in ("miou", "miou13") if key in {**scores, **published}}
    for name, value in published.get("iou", {}).items():
        pairs[name] = (scores["iou"][name] if scores else None, value)
    return pairs


def _quoted_record(table: int, row: Dict) -> Dict[str, Any]:
    numbers = dict(zip(published_tables()[PER_CLASS[table]]["classes"], row["iou"]), miou=row["miou"])
    if "miou13" in row:
        numbers["miou13"] = row["miou13"]
    record = {"row": row["method"], "encoder": row["backbone"], "state": f"quoted from {row['reported_by']}"}
    return dict(record, **{f"{name} published": value for name, value in numbers.items()})


def _json(table: int, lines: Sequence[Line], command: str) -> Dict:
    return {
        "table": table,
        "title": TITLES[table],
        "command": command,
        "rows": [
            {
                "row": line.row.text,
                "experiment": line.experiment,
                "encoder": line.encoder,
                "departures_from_the_paper": list(line.departures),
                "published": line.row.published,
                "reproduced": {key: _spread(line, key) for key in ("miou", "miou13") if line.values(key)},
                "results": [dict(one._asdict(), state="run" if one.scores else NOT_RUN) for one in line.results],
            }
            for line in lines
        ],
        "quoted": _quoted(table),
    }


def _spread(line: Line, key: str) -> Dict[str, Any]:
    values, over = line.values(key), over_fewer(line.ious(key), key).strip()
    deviation = statistics.stdev(values) if len(values) > 1 else None
    spread = {"mean": statistics.mean(values), "deviation": deviation, "seeds": len(values)}
    return dict(spread, mean_is=over) if over else spread


def _quoted(table: int) -> List[Dict]:
    rows = published_tables()[PER_CLASS[table]]["rows"] if table in PER_CLASS else []
    return [row for row in rows if row["reported_by"] != "this paper"]
