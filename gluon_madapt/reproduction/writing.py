"""Writes a table's results: Markdown to read, CSV and JSON to work with."""

import csv
import io
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from gluon_madapt.files.json_files import write_json, write_text
from gluon_madapt.formats import NOT_RUN, over_fewer
from gluon_madapt.reproduction.layout import markdown
from gluon_madapt.reproduction.results import (
    MEANS,
    ORDER_ALONE,
    Quoted,
    RowScores,
    Table,
    TableRow,
)
from gluon_madapt.runs.ownership import refuse_other_table


def write_table(table: Table, folder: Path) -> str:
    """Write ``table-N.md``, ``.csv`` and ``.json``; return the Markdown.

    Raises
    ------
    UserError
        If they cannot be written, or files of these names hold something else.
    """
    refuse_other_table(table.table, folder)
    text = markdown(table)
    write_text(folder / f"table-{table.table}.md", text)
    write_text(folder / f"table-{table.table}.csv", csv_text(table))
    write_json(folder / f"table-{table.table}.json", table.as_json())
    return text


def csv_text(table: Table) -> str:
    """Write a line per row and seed, then the quoted rows; numbers unrounded, empty where there are none."""
    records = [record for row, compared, others in table.of_each_row() for record in _records(row, compared, others)]
    classes = next((list(row.published.iou) for row in table.rows if row.published and row.published.iou), [])
    records += [_quoted_record(row, classes) for row in table.quoted]
    keys = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["table", *keys], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(dict(record, table=table.table) for record in records)
    return text.getvalue()


def _records(row: TableRow, compared: bool, others: Dict[str, TableRow]) -> List[Dict[str, Any]]:
    """Return a record per seed: every number of the row, with the paper's where it has one."""
    records = []
    for result in row.results:
        scores = result.scores
        record: Dict[str, Any] = {
            "row": row.row,
            "experiment": row.experiment,
            "encoder": row.encoder,
            "seed": result.seed,
            "run_folder": result.run_folder,
            "trained_by": " ".join(scores.trained_by or ()) if scores else "",
            "scored_by": scores.scored_by if scores else None,
            "state": "run" if scores else NOT_RUN,
        }
        if result.cost:
            record.update(
                seconds=result.cost.seconds,
                seconds_of_all=result.cost.whole,
                peak_memory_gib=result.cost.peak_memory_gib,
                peak_of_all=result.cost.peak_of_all,
            )
        for key in _keys(row, scores):
            ours = scores.number(key) if scores else None
            papers = row.published.number(key) if row.published else None
            record[f"{key} reproduced"], record[f"{key} published"] = ours, papers
            record[f"{key} difference"] = None if not compared else _minus(ours, papers)
            for title, other in others.items():
                before = None if other is row else other.by_seed(key).get(result.seed)
                record[f"{key} {title}"] = _minus(ours, before)
            if key in MEANS and scores and over_fewer([scores.iou], key):
                record[f"{key} is"] = over_fewer([scores.iou], key).strip()
        if row.published and not compared:
            record["published is"] = ORDER_ALONE
        records.append(record)
    return records


def _minus(after: Optional[float], before: Optional[float]) -> Optional[float]:
    return None if after is None or before is None else after - before


def _keys(row: TableRow, scores: Optional[RowScores]) -> List[str]:
    """Return the means that a row or the paper has, and the classes that the paper has."""
    numbers = [one for one in (scores, row.published) if one]
    means = [key for key in MEANS if any(one.number(key) is not None for one in numbers)]
    return [*means, *(row.published.iou if row.published else ())]


def _quoted_record(row: Quoted, classes: Sequence[str]) -> Dict[str, Any]:
    numbers = dict(zip(classes, row.iou), miou=row.miou)
    if row.miou13 is not None:
        numbers["miou13"] = row.miou13
    record = {"row": row.method, "encoder": row.backbone, "state": f"quoted from {row.reported_by}"}
    return dict(record, **{f"{name} published": value for name, value in numbers.items()})
