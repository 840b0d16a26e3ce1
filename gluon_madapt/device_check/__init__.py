"""Proves in minutes, without data sets, that a device computes and trains as the CPU does, and what it costs there."""

from gluon_madapt.device_check.checks import FAILED, OK, SKIPPED, WARNING, Check
from gluon_madapt.device_check.examination import CHECKS, check_device
from gluon_madapt.device_check.page import write_device_report

__all__ = ["CHECKS", "FAILED", "OK", "SKIPPED", "WARNING", "Check", "check_device", "write_device_report"]
