"""Unsupervised domain-adaptive segmentation with multi-adversarial training and regularised proxies, in MXNet/Gluon."""

import numpy

__version__ = "0.1.0"

# MXNet 1.9 reads numpy.bool while it is imported; NumPy dropped that alias in 1.24.
numpy.bool = bool
