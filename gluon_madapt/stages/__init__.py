"""The paper's four stages, a file each: `source`, `adversarial`, `proxies`, `retrain`.

Open `adversarial` first: one iteration of it is Eq. 2 to 4.  Trainings share the loop of `gluon_madapt.training`.
"""

from gluon_madapt.runs.run import Run
from gluon_madapt.stages.adversarial import train_adversarial
from gluon_madapt.stages.proxies import make_proxies
from gluon_madapt.stages.retrain import retrain
from gluon_madapt.stages.source import train_source

__all__ = ["Run", "make_proxies", "retrain", "train_adversarial", "train_source"]
