"""Platt scaling of the action heads (Platt 1999): a slope and an offset per head, folded into the last layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inference.training.impressions import Impressions
from inference.training.perceptron import LEVELS, Perceptron


def calibrated(model: Perceptron, held_out: Impressions) -> Perceptron:
    """The model with heads that mean frequencies on impressions it was not trained on."""
    logits = model.logits(held_out.x)[:, LEVELS:]
    weight, bias = model.weights[-1].copy(), model.biases[-1].copy()
    for head in range(logits.shape[1]):
        slope, offset = fit_platt(logits[:, head], held_out.heads[:, head])
        weight[:, LEVELS + head] *= slope
        bias[LEVELS + head] = bias[LEVELS + head] * slope + offset
    return replace(model, weights=(*model.weights[:-1], weight), biases=(*model.biases[:-1], bias))


def fit_platt(logit: NDArray[np.float32], happened: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Slope (0.2..3) and offset by Newton's method; a weak prior keeps rare heads near slope 1, offset 0."""
    x = np.stack([logit, np.ones_like(logit)], axis=1).astype(np.float64)
    theta, prior = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(x @ theta, -30, 30)))
        gradient = x.T @ (chance - happened) + 1.0 * (theta - prior)
        curvature = (x * (chance * (1 - chance))[:, None]).T @ x + np.eye(2)
        theta = theta - np.linalg.solve(curvature, gradient)
        theta[0] = np.clip(theta[0], 0.2, 3.0)
    return np.float32(theta[0]), np.float32(theta[1])
