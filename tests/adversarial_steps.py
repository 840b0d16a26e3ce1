"""Some steps of stage 2 on random images, divided over devices and batches."""

import numpy as np
from mxnet import nd
from small_experiments import ADVERSARY, CONFIG

from gluon_madapt.config import load_experiment
from gluon_madapt.data import Batch
from gluon_madapt.runs.datasets import cells_of
from gluon_madapt.runs.networks import new_segmenter, new_space
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.adversarial import AdversarialStep

STEPS = 3
DIVISIONS = {
    "one device": ("[cpu(0)]", 1),
    "two devices": ("[cpu(0), cpu(1)]", 1),
    "two batches": ("[cpu(0)]", 2),
    "two devices, two batches": ("[cpu(0), cpu(1)]", 2),
}


class Training:
    """Some steps of stage 2 on random images; the target's are of another distribution than the source's."""

    def __init__(self, devices, accumulate, *overrides):
        settings = [f"devices={devices}", "adversarial.batch_size=4", f"adversarial.accumulate={accumulate}"]
        settings += ["adversarial.lambda_1=0.1", "adversarial.lambda_2=0.1", *overrides]
        self.run = Run(load_experiment(CONFIG, [*ADVERSARY, *settings]))
        self.net = new_segmenter(self.run)
        settings = self.run.experiment.adversarial
        self.space = new_space(self.run, self.net, settings.align, cells_of(settings))
        self.step = AdversarialStep(self.net, self.space, settings, self.run.distributed)
        self.run.distributed.broadcast(self.step.trainers, 0)
        self.rng, self.accumulate = np.random.default_rng(0), accumulate

    def batches(self, labelled, scale, shift):
        images = [(self.rng.normal(size=(4, 3, 32, 32)) * scale + shift).astype("f4") for _ in range(self.accumulate)]
        labels = [self.rng.integers(0, 19, (4, 32, 32)).astype("u1") if labelled else None for _ in images]
        return self.run.distributed.divide([Batch(one, label, ()) for one, label in zip(images, labels)])

    def __call__(self, watch=lambda target: None, measure=False):
        for _ in range(STEPS):
            source, target = self.batches(True, 1, 0), self.batches(False, 2, 1)
            watch(target)
            self.step(list(zip(source, target)), measure)
        nd.waitall()
        return self

    def values(self, context):
        """Return all parameters of all networks on a device."""
        networks = {"segmenter": self.net, **self.space.networks}
        return {
            f"{name}/{key}": param.data(context).asnumpy()
            for name, network in networks.items()
            for key, param in network._collect_params_with_prefix().items()
        }
