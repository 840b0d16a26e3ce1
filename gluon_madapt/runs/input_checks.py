"""What a stage checks of its images and labels before it begins."""

from typing import Sequence

from gluon_madapt.data import Dataset
from gluon_madapt.data.mix_ups import refuse_train_ids
from gluon_madapt.runs.data_warnings import warn_of_data
from gluon_madapt.runs.labelled_pixels import refuse_unlabelled
from gluon_madapt.runs.run import Run


def check_inputs(run: Run, which: str, dataset: Dataset, labelled: bool = False, shared: Sequence[str] = ()) -> None:
    """Warn of what is odd about the source, target or val images; refuse labels that teach or score nothing.

    Parameters
    ----------
    run : Run
        The run.
    which : str
        "source", "target" or "val".
    dataset : Dataset
        Its images, and labels if these are to be looked at.
    labelled : bool
        Whether its labels are learnt from, or scored by.
    shared : sequence of str
        Other sets whose images val is not to share.

    Raises
    ------
    UserError
        If the labels hold train ids in place of label ids, or no pixel of any class.
    """
    warn_of_data(run, which, shared=shared)
    if labelled:
        refuse_train_ids(run.experiment, which, dataset)
        refuse_unlabelled(run, which, dataset)
