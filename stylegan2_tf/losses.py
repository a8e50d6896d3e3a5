"""Adversarial losses and penalties: functions on tensors, all in float32.

`real` and `fake` are the discriminator's scores `[N, 1]`; `gradients`, unless said otherwise,
are derivatives of the summed scores with respect to images `[N, H, W, C]`.
"""

from keras import ops

NORM_EPSILON = 1e-10  # inside the root: the gradient of sqrt(0) is NaN


def cross_entropy_d(real, fake):
    """Discriminator's loss `mean(softplus(fake) + softplus(-real))` (Goodfellow 2014)."""
    return ops.mean(ops.softplus(fake)) + ops.mean(ops.softplus(-real))


def cross_entropy_g(fake):
    """Generator's non-saturating loss `mean(softplus(-fake))` (Goodfellow 2014, section 3)."""
    return ops.mean(ops.softplus(-fake))


def relativistic_d(real, fake):
    """Discriminator's loss `mean(softplus(fake - real))` on pairs (R3, section 2)."""
    return ops.mean(ops.softplus(fake - real))


def relativistic_g(real, fake):
    """Generator's loss `mean(softplus(real - fake))` on the same pairs (R3, section 2)."""
    return ops.mean(ops.softplus(real - fake))


def wasserstein_d(real, fake, drift_weight=0.001):
    """Critic's loss `mean(fake - real + drift_weight · real²)` (WGAN-GP; drift: PG A.1)."""
    return ops.mean(fake) - ops.mean(real) + drift_weight * ops.mean(ops.square(real))


def wasserstein_g(fake):
    """Generator's loss `-mean(fake)` (WGAN-GP)."""
    return -ops.mean(fake)


def r1_penalty(gradients, gamma):
    """`gamma / 2 · mean_N(|gradients|²)` at real images (Mescheder 2018, equation 9).

    At generated images the same formula is R2 (Mescheder 2018, equation 10).
    """
    return gamma / 2 * ops.mean(ops.sum(ops.square(gradients), axis=(1, 2, 3)))


def gradient_penalty(gradients, weight):
    """`weight · mean_N((|gradients| - 1)²)` between reals and fakes (WGAN-GP, equation 3)."""
    norm = ops.sqrt(ops.sum(ops.square(gradients), axis=(1, 2, 3)) + NORM_EPSILON)
    return weight * ops.mean(ops.square(norm - 1.0))


def path_lengths(gradients):
    """`sqrt(mean_layers(|gradients|²))` of each sample, `[N]` (SG2 section 3.2).

    Args:
        gradients: `[N, num_ws, D]`, the derivatives of `Σ image · y` with respect to each
            layer's w: the transposed Jacobian of the synthesis network times `y`.
    """
    return ops.sqrt(ops.mean(ops.sum(ops.square(gradients), axis=2), axis=1) + NORM_EPSILON)


def path_length_penalty(lengths, mean, weight):
    """`weight · mean_N((lengths - mean)²)`: every step in w moves the image alike (SG2, eq. 4)."""
    return weight * ops.mean(ops.square(lengths - mean))
