"""Prove in ten minutes, without data sets, that a GPU computes and trains as the CPU does, and what that costs there.

    check_gpu.py                                the first GPU
    check_gpu.py --devices gpu(0),gpu(1)        the first, and both of them together
    check_gpu.py --devices cpu(0)               a CPU stands in, which takes longer

Leaves gpu-report.html, to look at or to send, and gpu-report.json.  Ends with status 1 if a check fails.
"""

import sys
import time
from pathlib import Path

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, flag_path, names, run_tool
from gluon_madapt.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def main(arguments):
    import argparse

    parser = ToolParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--devices",
        type=names,
        default=["gpu(0)"],
        metavar="A,B",
        help="the device to check, and others to check together with it (default: gpu(0))",
    )
    parser.add_argument(
        "--checks",
        type=names,
        metavar="A,B",
        help="some of outputs, steps, stages, memory and speed (default: all)",
    )
    parser.add_argument(
        "--tables",
        type=names,
        default=["1", "2", "3", "4"],
        metavar="1,2",
        help="the tables whose time is reckoned, or none (default: all four)",
    )
    parser.add_argument(
        "--out", type=flag_path, default=ROOT / "runs" / "check-gpu", metavar="DIR", help="the folder of the report"
    )
    parsed = parser.parse_args(arguments)
    tables = [] if parsed.tables == ["none"] else parsed.tables
    if not set(tables) <= set("1234"):
        raise UserError(f"--tables {','.join(tables)}: expected some of 1, 2, 3 and 4, or none")
    from gluon_madapt.config.values import device_name
    from gluon_madapt.device_check import CHECKS, FAILED, check_device, write_device_report

    wanted = parsed.checks or CHECKS
    if not set(wanted) <= set(CHECKS):
        raise UserError(f"--checks {','.join(wanted)}: expected some of {', '.join(CHECKS)}")
    try:
        devices = [device_name(name) for name in parsed.devices if name != "auto"]
    except ValueError:
        devices = []
    if len(devices) < len(parsed.devices):
        raise UserError(f"--devices {','.join(parsed.devices)}: expected gpu(0), gpu(1) and so on, or cpu(0)")
    began, checks = time.monotonic(), []
    for check in check_device(ROOT, devices, [int(table) for table in tables], wanted):
        checks.append(check)
        print(check, flush=True)
    page = write_device_report(parsed.out, devices, checks, time.monotonic() - began)
    failed = sum(check.level == FAILED for check in checks)
    print(f"{failed} of {len(checks)} checks failed; to look at, or to send: {page}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    run_tool(main)
