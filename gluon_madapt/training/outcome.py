"""Writes what a finished training leaves: the network, and its metrics."""

from pathlib import Path
from typing import Any, Dict

from mxnet.gluon import HybridBlock

from gluon_madapt.files.json_files import write_json
from gluon_madapt.run_layout import METRICS, PARAMETERS
from gluon_madapt.training.checkpoint import parameter_values
from gluon_madapt.weights.gluon_files import is_as_written, write_arrays


def write_outcome(
    folder: Path, segmenter: HybridBlock, description: Dict[str, Any], metrics: Dict[str, Any], trained: bool
) -> None:
    """Write ``segmenter.params`` and ``metrics.json``; those that are there are kept where nothing was trained.

    Parameters
    ----------
    folder : Path
        The stage's folder.
    segmenter : HybridBlock
        The finished network.
    description : dict
        What the file beside the parameters is to say of them, JSON values.
    metrics : dict
        The content of ``metrics.json``.
    trained : bool
        Whether this process has trained any iteration.
    """
    if trained or not is_as_written(folder / PARAMETERS):
        write_arrays(folder / PARAMETERS, parameter_values(segmenter), description)
    if trained or not (folder / METRICS).exists():
        write_json(folder / METRICS, metrics)
