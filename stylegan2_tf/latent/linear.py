"""A linear classifier of two classes.

Shapes: `N` samples, `D` features.
"""

import numpy as np
from scipy.optimize import minimize


class LinearClassifier:
    """Logistic regression on standardised features, with a quadratic penalty.

    Args:
        samples: `[N, D]`.
        positive: Which samples are of the second class, `[N]` bool.
        penalty: Weight of half the squared length of the direction.

    Attributes:
        direction: `[D]`, towards the second class, in the units of the samples.
    """

    def __init__(self, samples, positive, penalty=1.0):
        self._mean, self._deviation = samples.mean(0), samples.std(0) + 1e-8
        inputs = self._inputs(samples)
        signs = np.where(positive, 1.0, -1.0)
        weighted = np.r_[np.full(samples.shape[1], penalty), 0.0]  # the offset is free

        def loss(weights):
            margins = signs * (inputs @ weights)
            slopes = -signs / (1.0 + np.exp(np.clip(margins, -500.0, 500.0)))
            return (np.logaddexp(0.0, -margins).sum() + (weighted * weights**2).sum() / 2,
                    inputs.T @ slopes + weighted * weights)

        self._weights = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
        self.direction = self._weights[:-1] / self._deviation

    def scores(self, samples):
        """`[N]`: above zero for the second class."""
        return self._inputs(samples) @ self._weights

    def _inputs(self, samples):
        standardised = (samples - self._mean) / self._deviation
        return np.c_[standardised, np.ones(len(samples))].astype(np.float64)
