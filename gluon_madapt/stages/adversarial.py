"""Trains stage 2: multi-adversarial training (P §2.2, Eq. 2 to 4).

F and C are trained on labelled source images while F learns to make target images look like source to the
discriminators; in the paper D1 looks at F(X), D2 at the mid-level map F_l(X).  What they look at is a `Space`.
"""

import logging
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from mxnet import autograd, nd

from gluon_madapt.config import Adversarial
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.protocol import scored_along_the_way_on, scorer_along_the_way
from gluon_madapt.files.hashing import sha256
from gluon_madapt.models import Segmenter, Space
from gluon_madapt.models.losses import SourceTerm, TargetTerm
from gluon_madapt.models.passes import JointPass, SupervisedPass, UnlabelledPass
from gluon_madapt.models.training_graph import TrainingGraph
from gluon_madapt.runs.datasets import cells_of
from gluon_madapt.runs.input_checks import check_inputs
from gluon_madapt.runs.labelled_pixels import patience
from gluon_madapt.runs.networks import new_space
from gluon_madapt.runs.run import Run
from gluon_madapt.runs.trained import load_any_segmenter, loop_arguments
from gluon_madapt.stages.discriminator_watch import DiscriminatorWatch
from gluon_madapt.stages.discriminators import DomainLosses, Maps
from gluon_madapt.stages.gradient_share import GradientShare
from gluon_madapt.stages.later_rounds import DiscriminatorStep
from gluon_madapt.stages.supervision import Supervision
from gluon_madapt.training.checkpoint import versions_behind
from gluon_madapt.training.distributed import Distributed, Losses, Part, sum_of_losses
from gluon_madapt.training.loop import Loop
from gluon_madapt.training.optimizer import PolySchedule, discriminator_trainers, segmenter_trainer

_log = logging.getLogger(__name__)


def train_adversarial(run: Run) -> None:
    """Fine-tune F and C against zero, one or two discriminators; leaves a checkpoint in ``adversarial``.

    In a later round of proxies, F and C are those that the round before has retrained, and stay as they are: new
    discriminators learn to tell their features apart.
    """
    settings = run.experiment.adversarial
    source = run.loader("source", "adversarial", settings.source_input, settings, labelled=True)
    taught = Supervision(settings, run.number).teaches  # by the labels of the source
    check_inputs(run, "source", source.dataset, labelled=taught)
    target = run.loader("target", "adversarial", settings.target_input, settings, labelled=False)
    check_inputs(run, "target", target.dataset)
    if run.number == 1:
        refuse_weights(settings)
    start = run.start_of_round()
    net, _ = load_any_segmenter(run, start)
    cells = cells_of(settings)
    for name, seen in cells.items():
        if seen.starts_at > settings.output_stride:
            stays = f"looks at 1/{seen.starts_at} of the image, and stays there"
            _log.info("adversarial: %s %s: adversarial.output_stride is %s", name, stays, settings.output_stride)
    space = new_space(run, net, settings.align, cells)
    kind = AdversarialStep if run.number == 1 else DiscriminatorStep
    step = kind(net, space, settings, run.distributed)
    score = scorer_along_the_way(run, "adversarial") if run.number == 1 else None
    weights = dict(zip(cells, (settings.lambda_1, settings.lambda_2))) if run.number == 1 else {}
    images = {"source": source.dataset, "target": target.dataset}
    made_from = {name: dataset.fingerprint for name, dataset in images.items()} if run.distributed.is_main else {}
    folder = run.open("adversarial", dict(made_from, checkpoint=sha256(start)))
    facts = {"source_images": len(source.dataset), "skipped": source.dataset.skipped, "images": len(target.dataset)}
    facts.update(scored_along_the_way_on(run) if score and run.distributed.is_main else {})
    loop = Loop(
        "adversarial",
        **loop_arguments(run, "adversarial", folder),
        settings=settings,
        networks=dict(space.networks, segmenter=net),
        trainers=step.trainers,
        images=2 * source.images_per_iteration,
        facts=facts,
        score=score,
        versions=versions_behind(start),
        patience=patience(source) if taught else 0,
        watch=DiscriminatorWatch(weights),
    )

    pairs = zip(source.iterations(loop.start, loop.iterations), target.iterations(loop.start, loop.iterations))
    for iteration, (labelled, unlabelled) in loop.over(pairs):
        parts = list(zip(run.distributed.divide(labelled), run.distributed.divide(unlabelled)))
        losses = step(parts, loop.is_logged, iteration)
        loop.record(step.learning_rate, losses, step.measured)


def refuse_weights(settings: Adversarial) -> None:
    """Refuse a training in which nothing is learnt, and say where it is not by F and C."""
    if Supervision(settings).teaches or any((settings.lambda_1, settings.lambda_2)[: settings.discriminators]):
        return
    if not settings.discriminators:
        raise UserError(
            "adversarial.lambda_seg and adversarial.discriminators are 0, so nothing is learnt: set one of them higher"
        )
    _log.warning(
        "adversarial: lambda_seg and the weights of all discriminators are 0: these learn, the segmenter does not"
    )


class _Passes(NamedTuple):
    """What the passes of both domains give: losses on labels, adversarial terms by discriminator, what those see."""

    supervised: Losses
    terms: Losses
    source: Maps
    target: Maps


class AdversarialStep:
    """One iteration: F and C with the discriminators fixed, and each discriminator with F fixed.

    Parameters
    ----------
    net : Segmenter
        F and C.
    space : Space
        What the discriminators look at, and these: both, one or neither.  Without any, target images still pass
        through F in training mode, which moves its batch-norm statistics: the control that tells what the adversary
        adds.
    settings : Adversarial
        The stage's settings.
    distributed : Distributed, optional
        The devices and processes that share the work; one CPU by default.

    Attributes
    ----------
    trainers : dict of str to Trainer
        The optimisers of the segmenter, of what the space adds to it, and of each discriminator.
    """

    def __init__(
        self,
        net: Segmenter,
        space: Space,
        settings: Adversarial,
        distributed: Optional[Distributed] = None,
    ):
        self._settings, self._space = settings, space
        self._distributed = distributed or Distributed()
        self._lambdas = {"D1": settings.lambda_1, "D2": settings.lambda_2}
        self._supervision = Supervision(settings)
        learners = {"segmenter": net, **space.added}
        self.trainers = {name: segmenter_trainer(network, settings) for name, network in learners.items()}
        self.trainers.update(discriminator_trainers(space.discriminators, settings))
        self._schedule = PolySchedule(self.trainers, settings.poly_power, settings.iterations)
        # The passes of both domains, one after the other, add up to one gradient; so do those of several batches.
        self._distributed.add_up_gradients(*learners.values())
        if settings.accumulate > 1:
            self._distributed.add_up_gradients(*space.discriminators.values())

        self._joint = TrainingGraph(JointPass(net, space), settings.recompute)
        moves_too = settings.statistics == "both"
        self._supervised = TrainingGraph(SupervisedPass(net, space), settings.recompute, moves_too)
        self._unlabelled = TrainingGraph(UnlabelledPass(net, space), settings.recompute, in_turn_with=self._supervised)
        named = space.discriminators.items()
        self._domain_losses = DomainLosses(space.discriminators)
        self._target_terms = {name: TargetTerm(D, settings.objective) for name, D in named}
        minimax = settings.objective == "minimax"
        self._source_terms = {name: SourceTerm(D) for name, D in named} if minimax else {}
        for view in (*self._target_terms.values(), *self._source_terms.values()):
            view.hybridize(static_alloc=True, static_shape=True)
        self._share = GradientShare(net.collect_feature_params().values())
        self._is_measurable = bool(space.discriminators) and not (settings.joint_pass or minimax)

    @property
    def learning_rate(self) -> float:
        """That of the segmenter in the last iteration."""
        return self.trainers["segmenter"].learning_rate

    @property
    def measured(self) -> Losses:
        """What the last iteration has measured: ``adversary_share``, (1,), as in `GradientShare`, or nothing.

        With one joint pass, or with adversarial terms in the source pass, as minimax has, the two cannot be told apart.
        """
        return self._share.measured

    def __call__(self, parts: Sequence[Tuple[Part, Part]], measure: bool = False, iteration: int = 0) -> Losses:
        """Update all networks once.

        Parameters
        ----------
        parts : sequence of (Part, Part)
            The labelled source images and the target images of each pass; the sizes of the two may differ.
        measure : bool
            Whether to measure what `measured` then has, on the first part.
        iteration : int
            Its number, from 0, which decides the learning rates.

        Returns
        -------
        dict of str to NDArray
            The losses, (1,) each: ``segmentation`` and what the space adds, ``adversarial_D1`` (what F receives,
            unweighted), ``D1``, ...; and ``accuracy_D1_source``, ``accuracy_D1_target``, ...
        """
        self._schedule(iteration)
        self._distributed.clear_gradients()
        self._share.begin(measure and self._is_measurable)
        losses = [self._differentiate(source, target) for source, target in parts]
        for name, trainer in self.trainers.items():
            self._distributed.step(name, trainer)
        return sum_of_losses(losses)

    def _differentiate(self, source: Part, target: Part) -> Losses:
        """Add the gradients of all losses on a part to those of the networks; return its share of the losses."""
        passes = self._one_pass if self._settings.joint_pass else self._two_passes
        supervised, terms, source_maps, target_maps = passes(source, target)
        losses = {name: source.weight * loss for name, loss in supervised.items()}
        losses.update({f"adversarial_{name}": target.share * term for name, term in terms.items()})
        losses.update(self._domain_losses.differentiate(source_maps, target_maps, target.share))
        return losses

    def _two_passes(self, source: Part, target: Part) -> _Passes:
        # One graph over both would need inputs of one size.  The second takes the memory of the first, and so what is
        # still needed of the first is copied.
        outputs = [out.copy() for out in self._supervised(source.images, source.labels)]
        supervised, maps = self._supervision.told_apart(outputs)
        source_maps = self._space.named(maps)
        terms, gradients = self._adversarial_terms(self._source_terms, source_maps, source.share)
        self._supervised.backward(*self._supervision.gradients(supervised, source.weight), *gradients)
        self._share.after_source(source.images.context)
        target_maps = self._space.named(self._unlabelled(target.images))
        target_terms, gradients = self._adversarial_terms(self._target_terms, target_maps, target.share)
        self._unlabelled.backward(*gradients)
        self._share.after_target(target.images.context)
        return _Passes(supervised, _sum(terms, target_terms), source_maps, target_maps)

    def _one_pass(self, source: Part, target: Part) -> _Passes:
        if source.images.shape != target.images.shape:
            raise UserError(
                "adversarial.joint_pass needs source and target inputs of one size: these are "
                f"{_wh(source.images)} and {_wh(target.images)}: "
                "set joint_pass to false, or give source_input and target_input one size"
            )
        outputs = self._joint(nd.concat(source.images, target.images, dim=0), source.labels)
        supervised, maps = self._supervision.told_apart(outputs)
        half = len(maps) // 2
        source_maps, target_maps = self._space.named(maps[:half]), self._space.named(maps[half:])
        terms, gradients = self._adversarial_terms(self._source_terms, source_maps, source.share)
        target_terms, target_gradients = self._adversarial_terms(self._target_terms, target_maps, target.share)
        self._joint.backward(*self._supervision.gradients(supervised, source.weight), *gradients, *target_gradients)
        return _Passes(supervised, _sum(terms, target_terms), source_maps, target_maps)

    def _adversarial_terms(self, views: Dict, maps: Maps, share: float) -> Tuple[Losses, List[nd.NDArray]]:
        """Return the adversarial terms on the maps of a domain, and their gradients by the maps, times λ1 and λ2.

        The discriminators are fixed here: no gradient of theirs is computed.  Maps without a term get a gradient of
        zeros: batch norm moves its statistics in the backward pass, so there is one even if no term weighs anything.
        """
        terms, gradients = {}, []
        for name, one in maps.items():
            seen = one.detach()
            if name not in views:
                gradients.append(nd.zeros_like(seen))
                continue
            seen.attach_grad()
            with autograd.record():
                terms[name] = views[name](seen)
            weight = _filled(terms[name], self._lambdas[name] * share)  # P Eq. 4
            gradients += autograd.grad(terms[name], [seen], weight)
        return terms, gradients


def _filled(like: nd.NDArray, value) -> nd.NDArray:
    return nd.ones_like(like) * value


def _sum(first: Losses, second: Losses) -> Losses:
    return {name: first[name] + value if name in first else value for name, value in second.items()}


def _wh(images: nd.NDArray) -> str:
    return f"{images.shape[3]}x{images.shape[2]}"
