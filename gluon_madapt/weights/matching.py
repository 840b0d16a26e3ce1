"""Compares parameters by name and shape, strictly: nothing is left out in silence."""

from typing import Dict, List, Tuple

Shapes = Dict[str, Tuple[int, ...]]

# Names of one kind that a message lists before it says how many more there are.
_LISTED = 10


def differences(expected: Shapes, stored: Shapes) -> str:
    """Say by name what is missing, surplus or of another shape, with the number of each; "" if nothing is."""
    reshaped = [
        f"{key} has shape {stored[key]}, expected {expected[key]}"
        for key in sorted(expected.keys() & stored.keys())
        if tuple(stored[key]) != tuple(expected[key])
    ]
    kinds = {
        "missing": sorted(expected.keys() - stored.keys()),
        "not of this network": sorted(stored.keys() - expected.keys()),
        "of another shape": reshaped,
    }
    return "; ".join(f"{len(items)} {kind} ({listed(items)})" for kind, items in kinds.items() if items)


def listed(items: List[str]) -> str:
    """Return the first of the items as text, and how many more there are."""
    shown = ", ".join(items[:_LISTED])
    return shown if len(items) <= _LISTED else f"{shown} and {len(items) - _LISTED} more"
