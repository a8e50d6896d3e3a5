"""Styles of a conditional model by class: generated ones, and real images projected beside.

Shapes: `N` points, `H W` space, `C` channels, `D` latent.
"""

import dataclasses

import numpy as np

from stylegan2_tf.data import spread
from stylegan2_tf.latent.sampling import generator_of, make_latents, map_latents
from stylegan2_tf.latent.separation import separation

NEIGHBOURS = 10  # of a point, whose classes are looked at


@dataclasses.dataclass(frozen=True)
class Styles:
    """Styles of one kind: generated, or projected.

    Args:
        w: `[N, D]`.
        labels: Name of the class of each, `[N]`.
        groups: Subject of each, `[N]`, or None.
    """

    w: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None


def generated_styles(model, n, seed=0):
    """`n` styles of every class, each from a latent of its own.

    `model` is a `Generator`, or what `load` returns.

    From the same latents for every class, the nearest of all points would be those of the other
    classes, and `measure` would find less than chance where classes do not differ.
    """
    generator = generator_of(model)
    labels = np.tile(np.arange(len(generator.classes)), n)
    w = map_latents(generator, make_latents(len(labels), generator.z_dim, seed), labels)
    return Styles(w, np.asarray(generator.classes)[labels])


def projected_styles(model, images, labels, groups, steps, seed=0):
    """Styles whose images resemble the real `images` (float32 in `[-1, 1]`) most.

    Every one starts from the same mean of w and is told no class: what separates them then
    comes from the images. TensorFlow only.

    Args:
        model: A `Generator`, or what `load` returns.
        images: `[N, H, W, C]`.
        labels, groups: See `Styles`.
        steps: Updates of each projection.
        seed: See `project`.

    Returns:
        `Styles`.
    """
    from stylegan2_tf.latent.projection import project  # TensorFlow's; the rest is anyone's

    found = project(model, images, steps=steps, start="mean", seed=seed, progress=True)
    return Styles(found.ws[:, 0], labels, groups)


def chosen_images(packed, count):
    """Ascending indices of `count` images of every class, evenly spread over the names."""
    members = [np.flatnonzero(packed.labels == label) for label in range(len(packed.classes))]
    return np.sort(np.concatenate([
        where[spread(min(count, len(where)), len(where))] for where in members]))


def measure(styles, seed=0):
    """The `Separation` of the classes; neighbours of one's own subject do not count.

    Raises:
        UsageError: Labels and groups are none that `separation` takes.
    """
    own = 1 if styles.groups is None else np.unique(styles.groups, return_counts=True)[1].max()
    return separation(styles.w, styles.labels, k=int(min(NEIGHBOURS, len(styles.w) - own)),
                      seed=seed, groups=styles.groups)


def check_measurable(labels, groups):
    """Refuse at once what `measure` would refuse after a long projection. Raises `UsageError`."""
    measure(Styles(np.zeros((len(labels), 1)), labels, groups))
