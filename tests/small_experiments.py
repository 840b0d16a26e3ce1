"""Experiments that run in seconds on a mini world of a few images."""

from conftest import ROOT

from gluon_madapt.config import load_experiment
from gluon_madapt.stages import Run

CONFIG = ROOT / "configs" / "mini" / "gta5.yaml"
INPUT = "{size: [64, 32], short_side: null, crop: null}"
# The paper's cells and rate, and statistics of either domain, whatever suits the mini world.
ADVERSARY = [
    f"adversarial.{setting}"
    for setting in (
        "output_stride=32",
        "statistics=both",
        "discriminator_learning_rate=1e-4",
        "lambda_1=3e-3",
        "lambda_2=3e-3",
    )
]


def small_settings(world, iterations=3):
    """Return what to --set for short trainings on tiny images."""
    return [
        f"data.source.root={world}/gta5",
        f"data.target.root={world}/cityscapes",
        f"data.val.root={world}/cityscapes",
        *(f"{stage}.iterations={iterations}" for stage in ("source", "adversarial", "retrain")),
        *(f"{stage}.batch_size=2" for stage in ("source", "adversarial", "retrain")),
        f"source.input={INPUT}",
        f"adversarial.source_input={INPUT}",
        f"adversarial.target_input={INPUT}",
        *ADVERSARY,
        "retrain.input.crop=[64, 64]",
        "proxies.size=[64, 32]",
        "evaluation.short_side={source: 32, adversarial: 32}",
        "bookkeeping={log_every: 1, eval_every: 0, checkpoint_every: 2}",
    ]


def small_experiment(world, *overrides, iterations=3):
    return load_experiment(CONFIG, [*small_settings(world, iterations), *overrides])


def run_stages(world, folder, *stages, iterations=1):
    """Run stages of the small experiment, each as a process of its own would."""
    for stage in stages:
        stage(Run(small_experiment(world, iterations=iterations), folder))
