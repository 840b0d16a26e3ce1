"""Trains stage 4 on both domains, for class-balanced self-training (CBST: Zou et al., ECCV 2018).

Self-training minimises one loss over the network and over the labels of the target, which are latent: the cross entropy
of all source pixels, plus that of the target pixels that have a proxy, each pixel counting the same.  A round takes two
turns.  With the network fixed, the labels that minimise the loss are l* = argmax_l P(l) / t2(l) where P(l*) / t2(l*) is
above 1 (they write exp(-k_l) for t2(l)), with t2 from each class's own ranked scores: stage 3 with p1 = 1, and p2 the
portion of the round (`gluon_madapt.proxies`).  With the labels fixed, the network learns from both domains: the step
here.
"""

from typing import Optional, Sequence

from gluon_madapt.config import Retrain
from gluon_madapt.data import Dataset, Loader
from gluon_madapt.models import Segmenter
from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.supervised import Lesson, SupervisedStep, differentiate
from gluon_madapt.training.distributed import Distributed, Losses, Part, sum_of_losses


class SelfTrainingStep(SupervisedStep):
    """One iteration of SGD on source labels and target proxies together.

    Parameters
    ----------
    net : Segmenter
        F and C.
    settings : Retrain
        The stage's settings.
    distributed : Distributed, optional
        The devices and processes that share the work; one CPU by default.
    """

    passes = 2

    def __init__(self, net: Segmenter, settings: Retrain, distributed: Optional[Distributed] = None):
        super().__init__(net, settings, distributed, moves_statistics=settings.statistics == "both")
        # A graph for each domain, since the sizes of their images may differ; the two take turns in one memory.
        self._proxies = self._graph(net, settings, in_turn_with=self._supervised)

    def __call__(self, parts: Sequence[Part], learning_rate: float) -> Losses:
        """Update F and C once.

        Parameters
        ----------
        parts : sequence of Part
            The labelled source images, then as many parts of target images with their proxies.  A part's weight is its
            share of the labelled pixels of both domains, so that each pixel of either counts the same.
        learning_rate : float
            That of this iteration.

        Returns
        -------
        dict of str to NDArray
            The loss, ``segmentation``, and what source and target add to it, ``segmentation_source`` and
            ``segmentation_target``, (1,) each.
        """
        return super().__call__(parts, learning_rate)

    def _differentiate(self, parts: Sequence[Part]) -> Losses:
        half = len(parts) // 2
        source = sum_of_losses([{"source": differentiate(self._supervised, part)} for part in parts[:half]])["source"]
        target = sum_of_losses([{"target": differentiate(self._proxies, part)} for part in parts[half:]])["target"]
        return {"segmentation": source + target, "segmentation_source": source, "segmentation_target": target}


def lesson_of_both_domains(run: Run, net: Segmenter, settings: Retrain, loader: Loader, images: Dataset) -> Lesson:
    """Return the lesson of target images with proxies, which ``loader`` has, and of the labelled source."""
    source = run.loader("source", "retrain", settings.source_input or settings.input, settings, labelled=True)
    check_inputs(run, "source", source.dataset, labelled=True)
    facts = {
        "source_images": len(source.dataset),
        "skipped": source.dataset.skipped,
        "images": len(loader.dataset),
    }
    step = SelfTrainingStep(net, settings, run.distributed)
    return Lesson(step, [source, loader], {"source": source.dataset, "images": images}, facts)
