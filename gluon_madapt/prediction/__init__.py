"""Prediction: a trained model and any images or videos give labels, colours, overlays and confidence.

Open `predictor` first: a model in use.  `mxnet_model` computes it from a checkpoint, `onnx_model` from an exported
file, without MXNet.  `batch` predicts many files into a folder.
"""

from gluon_madapt.prediction.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]
