"""Fits the logistic regression that says by two scores together how likely a prediction is right."""

from typing import Tuple

import numpy as np

# Keeps weights finite where the scores tell right from wrong without an error; too small to matter elsewhere.
_RIDGE = 1e-6
_STEPS = 100
_SMALLEST_STEP = 1e-9


def fit_logistic(scores: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Fit the weights of a logistic regression of rightness, with an intercept, by Newton's method.

    Parameters
    ----------
    scores : np.ndarray
        (M, S) float64, S scores of M cells of a histogram.
    right, wrong : np.ndarray
        (M,) int64, how many right and wrong predictions each cell has; at least one right and one wrong in all.

    Returns
    -------
    np.ndarray
        (S,) float64, what a unit of each score adds to the logarithm of the odds; 0 of a score that is constant.
    """
    share = np.stack([right, wrong]) / (right.sum() + wrong.sum())
    mass = share.sum(axis=0)
    mean = mass @ scores
    deviation = np.sqrt(mass @ np.square(scores - mean))
    deviation[deviation < 1e-12] = np.inf
    inputs = np.column_stack([np.ones(len(scores)), (scores - mean) / deviation])
    weights = np.zeros(inputs.shape[1])
    loss, gradient, curvature = _expand(inputs, share, weights)
    for _ in range(_STEPS):
        step, length = np.linalg.solve(curvature, gradient), 1.0
        while length > _SMALLEST_STEP:  # Newton's whole step may lead too far
            trial = weights - length * step
            expansion = _expand(inputs, share, trial)
            if expansion[0] < loss:
                break
            length /= 2
        else:
            break
        weights, (loss, gradient, curvature) = trial, expansion
    return weights[1:] / deviation


def _expand(inputs: np.ndarray, share: np.ndarray, weights: np.ndarray) -> Tuple[float, np.ndarray, np.ndarray]:
    """Return the mean loss at some weights, its gradient and its matrix of second derivatives."""
    margin = inputs @ weights
    ridge = np.full(len(weights), _RIDGE)
    ridge[0] = 0  # of the intercept
    loss = share[0] @ np.logaddexp(0, -margin) + share[1] @ np.logaddexp(0, margin) + ridge @ np.square(weights) / 2
    probability, mass = 1 / (1 + np.exp(-margin)), share.sum(axis=0)
    gradient = inputs.T @ (mass * probability - share[0]) + ridge * weights
    spread = mass * probability * (1 - probability)
    # Rounding can leave no curvature at all along the intercept.
    curvature = (inputs.T * spread) @ inputs + np.diag(np.maximum(ridge, 1e-12))
    return float(loss), gradient, curvature
