"""Stage 2: multi-adversarial training (P §2.2, Eq. 2 to 4).

F and C are trained on labelled source images while F learns to make the features of target images look like source to
the discriminators; D1 looks at F(X), D2 at the mid-level map F_l(X).
"""

from typing import Dict, NamedTuple, Tuple

from mxnet import autograd, nd
from mxnet.gluon import Trainer

from gluon_madapt.config import Adversarial
from gluon_madapt.errors import UserError
from gluon_madapt.hashing import sha256
from gluon_madapt.models import Discriminator, Segmenter
from gluon_madapt.models.objectives import (
    FeaturePass,
    JointPass,
    SupervisedPass,
    source_likelihood_loss,
    target_likelihood_loss,
)
from gluon_madapt.stages.checkpoint import versions_behind
from gluon_madapt.stages.loop import Loop, segmenter_trainer, to_device
from gluon_madapt.stages.networks import load_segmenter, new_discriminators
from gluon_madapt.stages.run import Run
from gluon_madapt.stages.scoring import scorer_along_the_way


def train_adversarial(run: Run) -> None:
    """Fine-tune F and C against zero, one or two discriminators; leaves a checkpoint in ``adversarial``."""
    settings, batch_size = run.experiment.adversarial, run.experiment.adversarial.batch_size
    source = run.loader("source", "adversarial", settings.source_input, batch_size, labelled=True)
    target = run.loader("target", "adversarial", settings.target_input, batch_size, labelled=False)
    start = run.checkpoint_of("source")
    net = load_segmenter(run, start)
    discriminators = new_discriminators(run, settings.discriminators, net.mid_channels)
    step = AdversarialStep(net, discriminators, settings)
    score = scorer_along_the_way(run, "adversarial")
    images = {"source": source.dataset.fingerprint, "target": target.dataset.fingerprint}
    folder = run.open("adversarial", dict(images, checkpoint=sha256(start)))
    networks = dict(discriminators, segmenter=net)
    facts = {"source_images": len(source.dataset), "skipped": source.dataset.skipped, "images": len(target.dataset)}
    versions = versions_behind(start)
    loop = Loop("adversarial", run, folder, settings, networks, step.trainers, 2 * batch_size, facts, score, versions)

    pairs = zip(source.batches(loop.start, loop.iterations), target.batches(loop.start, loop.iterations))
    for _, (labelled, unlabelled) in zip(loop, pairs):
        images, labels = to_device(labelled, run.context)
        losses = step(images, labels, to_device(unlabelled, run.context)[0])
        loop.record(settings.learning_rate, **losses)


class Features(NamedTuple):
    """What the discriminators see of one domain: ``D1`` F(X), ``D2`` F_l(X)."""

    D1: nd.NDArray
    D2: nd.NDArray


class AdversarialStep:
    """One iteration: first F and C with the discriminators fixed, then each discriminator with F fixed.

    Parameters
    ----------
    net : Segmenter
        F and C.
    discriminators : dict of str to Discriminator
        "D1", "D2", both or neither.  Without any, target images still pass through F in training mode, which moves its
        batch-norm statistics: the control that tells what the adversary adds.
    settings : Adversarial
        The stage's settings.

    Attributes
    ----------
    trainers : dict of str to Trainer
        The optimisers of the segmenter and of each discriminator.
    """

    def __init__(self, net: Segmenter, discriminators: Dict[str, Discriminator], settings: Adversarial):
        self._settings = settings
        self._discriminators = discriminators
        self._lambdas = {"D1": settings.lambda_1, "D2": settings.lambda_2}
        self._params = [param for param in net.collect_params().values() if param.grad_req != "null"]
        for param in self._params:
            param.grad_req = "add"  # the two domains' passes, one after the other, add up to one gradient
        self.trainers = {"segmenter": segmenter_trainer(net, settings)}
        optimizer = {"learning_rate": settings.discriminator_learning_rate}
        for name, discriminator in discriminators.items():
            discriminator.hybridize()
            self.trainers[name] = Trainer(discriminator.collect_params(), "adam", optimizer, kvstore=None)
        self._joint = JointPass(net, settings.batch_size) if settings.joint_pass else None
        self._supervised, self._features = SupervisedPass(net), FeaturePass(net)
        for view in filter(None, (self._joint, self._supervised, self._features)):
            view.hybridize(static_alloc=True, static_shape=True)

    def __call__(self, images: nd.NDArray, labels: nd.NDArray, target_images: nd.NDArray) -> Dict[str, nd.NDArray]:
        """Update all networks once.

        Parameters
        ----------
        images, target_images : NDArray
            Normalised images of source and target, (N, 3, H, W) each; their sizes may differ.
        labels : NDArray
            Train ids of the source, (N, H, W) float32.

        Returns
        -------
        dict of str to NDArray
            The losses, (1,) each: ``segmentation``, ``adversarial_D1`` (what F receives, unweighted), ``D1``, ...
        """
        losses, source, target = self._update_segmenter(images, labels, target_images)
        for name in self._discriminators:
            losses[name] = self._update_discriminator(name, getattr(source, name), getattr(target, name))
        return losses

    def _update_segmenter(self, images, labels, target_images) -> Tuple[Dict[str, nd.NDArray], Features, Features]:
        for param in self._params:
            param.zero_grad()
        passes = self._two_passes if self._joint is None else self._one_pass
        losses, source, target = passes(images, labels, target_images)
        self.trainers["segmenter"].step(1)  # every loss is a mean already
        return losses, source, target

    def _two_passes(self, images, labels, target_images):
        # Each pass is differentiated before the next begins, so that the activations of one are held at a time.
        with autograd.record():
            segmentation, feature, mid = self._supervised(images, labels)
            source = Features(feature, mid)
            terms = self._source_terms(source)
            objective = self._weighted(self._settings.lambda_seg * segmentation, terms)
        objective.backward()
        with autograd.record():
            target = Features(*self._features(target_images))
            target_terms = self._target_terms(target)
            # Batch norm moves its statistics in the backward pass: there is one even if no term weighs anything.
            objective = self._weighted(0 * target.D1.mean(), target_terms)
        objective.backward()
        return _named(segmentation, terms, target_terms), source, target

    def _one_pass(self, images, labels, target_images):
        if images.shape != target_images.shape:
            raise UserError(
                f"adversarial.joint_pass needs source and target inputs of one size: these are {_wh(images)} and "
                f"{_wh(target_images)}: set joint_pass to false, or give source_input and target_input one size"
            )
        with autograd.record():
            segmentation, *maps = self._joint(nd.concat(images, target_images, dim=0), labels)
            source, target = Features(*maps[:2]), Features(*maps[2:])
            terms, target_terms = self._source_terms(source), self._target_terms(target)
            objective = self._weighted(self._settings.lambda_seg * segmentation, terms)
            objective = self._weighted(objective + 0 * target.D1.mean(), target_terms)
        objective.backward()
        return _named(segmentation, terms, target_terms), source, target

    def _source_terms(self, source: Features) -> Dict[str, nd.NDArray]:
        """Return what F receives of Eq. 2 and 3 on the source: E log D, under the literal minimax alone."""
        if self._settings.objective != "minimax":
            return {}
        return {
            name: -source_likelihood_loss(nd, discriminator(getattr(source, name)))
            for name, discriminator in self._discriminators.items()
        }

    def _target_terms(self, target: Features) -> Dict[str, nd.NDArray]:
        """Return what F receives on the target: -log D, or under the literal minimax E log(1 - D)."""
        terms = {}
        for name, discriminator in self._discriminators.items():
            logits = discriminator(getattr(target, name))
            if self._settings.objective == "minimax":
                terms[name] = -target_likelihood_loss(nd, logits)
            else:
                terms[name] = source_likelihood_loss(nd, logits)
        return terms

    def _weighted(self, objective: nd.NDArray, terms: Dict[str, nd.NDArray]) -> nd.NDArray:
        """Add λ1 and λ2 times the adversarial terms (P Eq. 4)."""
        for name, term in terms.items():
            objective = objective + self._lambdas[name] * term
        return objective

    def _update_discriminator(self, name: str, source: nd.NDArray, target: nd.NDArray) -> nd.NDArray:
        """Take a step of D on the detached features of both domains; 1 is source, 0 target."""
        discriminator = self._discriminators[name]
        with autograd.record():
            loss = source_likelihood_loss(nd, discriminator(source.detach()))
            loss = loss + target_likelihood_loss(nd, discriminator(target.detach()))
        loss.backward()
        self.trainers[name].step(1)
        return loss


def _named(segmentation, *terms: Dict[str, nd.NDArray]) -> Dict[str, nd.NDArray]:
    losses = {"segmentation": segmentation}
    for name, value in ((name, value) for one in terms for name, value in one.items()):
        key = f"adversarial_{name}"
        losses[key] = losses[key] + value if key in losses else value
    return losses


def _wh(images: nd.NDArray) -> str:
    return f"{images.shape[3]}x{images.shape[2]}"
