"""Saves the state of a training, and resumes from the checkpoint in its folder or the one before it."""

import logging
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.data import is_same
from gluon_madapt.errors import UserError
from gluon_madapt.training.checkpoint import (
    Checkpoint,
    is_intact,
    load_network,
    load_trainer,
    network_arrays,
    previous_checkpoint,
    read_checkpoint,
    trainer_arrays,
    write_checkpoint,
)

_log = logging.getLogger(__name__)


class TrainingState:
    """The networks and optimisers of a training, which a checkpoint holds.

    Parameters
    ----------
    path : Path
        The checkpoint.
    networks : dict of str to HybridBlock
        What it holds.
    trainers : dict of str to Trainer
        Their optimisers, under names of networks.
    is_main : bool
        Whether this process may write: others only read what the main process has written.
    """

    def __init__(
        self, path: Path, networks: Dict[str, HybridBlock], trainers: Dict[str, Trainer], is_main: bool = True
    ):
        self.path = path
        self._networks = networks
        self._trainers = trainers
        self._is_main = is_main

    def save(self, meta: Dict[str, Any]) -> None:
        """Write a checkpoint; the one that is there is kept as the previous one."""
        arrays = {}
        for name, network in self._networks.items():
            arrays.update(network_arrays(name, network))
        for name, trainer in self._trainers.items():
            arrays.update(trainer_arrays(name, trainer, self._keys(name)))
        write_checkpoint(self.path, Checkpoint(meta, arrays))

    def resume(self, expected: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Load the checkpoint, or the previous one if that is damaged; return its ``meta``, or None without any.

        A damaged checkpoint is renamed, not removed.

        Parameters
        ----------
        expected : dict
            Values that ``meta`` must have, of the keys that it has.

        Raises
        ------
        UserError
            If no checkpoint that is there can be read, or it is of other networks or of another training.
        """
        path, checkpoint = self._read()
        if checkpoint is None:
            return None
        for key, value in expected.items():
            if not is_same(checkpoint.meta.get(key, value), value):
                raise UserError(
                    f"{path}: is of another training, whose {key.replace('_', ' ')} is {checkpoint.meta[key]}, not "
                    f"{value}: put back the one that was there, or give --fresh"
                )
        for name, network in self._networks.items():
            load_network(checkpoint, name, network, path)
        for name, trainer in self._trainers.items():
            load_trainer(checkpoint, name, trainer, self._keys(name), path)
            # Adam's bias correction counts its updates.
            trainer._optimizer.begin_num_update = trainer._optimizer.num_update = checkpoint.meta["iteration"]
        return checkpoint.meta

    def _read(self) -> Tuple[Path, Optional[Checkpoint]]:
        previous = previous_checkpoint(self.path)
        if not self.path.exists():
            return previous, read_checkpoint(previous) if previous.exists() else None
        try:
            return self.path, read_checkpoint(self.path)
        except UserError as error:
            if is_intact(self.path):  # then it is for want of memory, say, that it cannot be read
                raise
            if not previous.exists():
                raise UserError(f"{error}: there is none before it: give --fresh to start over") from None
            checkpoint = read_checkpoint(previous)
            damaged = self.path.with_name(f"{self.path.stem}.damaged{self.path.suffix}")
            _log.warning("%s: the one before it is used; the damaged one is now called %s", error, damaged.name)
            if self._is_main:
                self.path.replace(damaged)
            return previous, checkpoint

    def _keys(self, network: str) -> Dict[str, str]:
        return {param.name: key for key, param in self._networks[network]._collect_params_with_prefix().items()}
