"""From a trained network and labelled images to numbers: probabilities, labels, IoU per class and mIoU.

Open `protocol` first: how a stage's model is scored.  `inference` has multi-scale evaluation, `adabn` AdaBN.
"""

from gluon_madapt.evaluation.inference import predict_probabilities
from gluon_madapt.evaluation.metrics import ConfusionMatrix
from gluon_madapt.evaluation.scores import evaluate, image_probability_blocks, predict_labels, summary

__all__ = [
    "ConfusionMatrix",
    "evaluate",
    "image_probability_blocks",
    "predict_labels",
    "predict_probabilities",
    "summary",
]
