"""A trained model and images or videos of any kind -> labels, colours, overlays, confidence."""

from gluon_madapt.prediction.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]
