"""A network and images -> probabilities, labels and scores."""

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
