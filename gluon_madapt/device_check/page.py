"""Writes what was found of a device: one page to look at, and the same as JSON."""

import datetime
from pathlib import Path
from typing import Sequence

from gluon_madapt.device_check.checks import FAILED, Check
from gluon_madapt.files.json_files import write_json, write_text
from gluon_madapt.report.rendering import rendered
from gluon_madapt.system.provenance import code_version

PAGE, RECORD = "gpu-report.html", "gpu-report.json"


def write_device_report(folder: Path, devices: Sequence[str], checks: Sequence[Check], seconds: float) -> Path:
    """Write the report of some devices to a folder; return the page.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "devices": list(devices),
        "code": code_version(),
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds, 1),
        "failed": sum(check.level == FAILED for check in checks),
        "checks": [check._asdict() for check in checks],
    }
    write_json(folder / RECORD, record)
    write_text(folder / PAGE, rendered("device.html", title=f"gluon_madapt on {', '.join(devices)}", **record))
    return folder / PAGE
