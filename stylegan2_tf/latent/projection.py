"""Find the w whose image resembles a given one (SG2 appendix D, without a network's features).

Shapes: `N` images, `H W` space, `C` channels, `D` latent.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from stylegan2_tf.latent.sampling import make_latents, one_hot

SAMPLES = 1000  # latents that tell the mean of w and how far it spreads
RATE = 0.1  # Adam's, in standard deviations of w
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the steps over which the rate grows and falls
NOISE = 0.05  # added to w in the first three quarters of the steps, in the same unit
AT_ONCE = 32  # images in a batch
LEVELS = 4  # of the pyramid: full size, half, quarter, eighth


@dataclasses.dataclass(frozen=True)
class Projection:
    """What `project` found.

    Args:
        ws: `[N, num_ws, D]`, float32.
        images: What the generator makes of them, `[N, H, W, C]` in `[-1, 1]`.
        psnr: Peak signal-to-noise ratio of each image in dB, `[N]`.
    """

    ws: np.ndarray
    images: np.ndarray
    psnr: np.ndarray


def project(generator, images, *, steps=300, space="w", seed=0, progress=False):
    """Optimise latents so that the generator's images become the given ones.

    The loss is the squared error of the images and of their halved, quartered and eighth-size
    versions: the small ones lead to the place, the full one to the detail. Noise maps stay
    those saved with the model. Every image has its own optimum, which depends neither on the
    others nor on its place among them.

    Args:
        generator: A `Generator`.
        images: Float32 `[N, H, W, C]` in `[-1, 1]`.
        steps: Updates.
        space: "w" for one latent an image, "w+" for one a layer.
        seed: Decides the noise that is added to w at first, the same for all images.
        progress: Show a bar, if standard error is a terminal.

    Returns:
        A `Projection`.

    Raises:
        ValueError: There is no image, they have another size than the generator's, or `space`
            is unknown.
    """
    expected = (*generator.resolution, generator.channels)
    if not len(images) or tuple(images.shape[1:]) != expected:
        raise ValueError(f"Argument `images` must be [N, {', '.join(map(str, expected))}]. "
                         f"Received: shape {images.shape}")
    if space not in ("w", "w+"):
        raise ValueError(f"Argument `space` must be 'w' or 'w+'. Received: space={space}")
    images = np.asarray(images, np.float32)
    layers = generator.synthesis.num_ws if space == "w+" else 1
    search = _Search(generator, min(AT_ONCE, len(images)), layers)
    starts, ws, found = range(0, len(images), AT_ONCE), [], []
    with tqdm(total=len(starts) * steps, desc="projecting", unit="step",
              disable=None if progress else True) as bar:
        for start in starts:
            part = images[start:start + AT_ONCE]
            every = _every_layer(generator, search.run(part, steps, seed, bar))
            ws.append(every.numpy()[:len(part)])
            found.append(keras.ops.convert_to_numpy(generator.synthesis(every))[:len(part)])
    found = np.clip(np.concatenate(found), -1.0, 1.0)
    return Projection(np.concatenate(ws), found, peak_signal_to_noise(found, images))


def peak_signal_to_noise(images, originals):
    """PSNR in dB of each image, `[N]`; both in `[-1, 1]`, so the peak is 2."""
    error = np.square(images.astype(np.float64) - originals).mean(axis=(1, 2, 3))
    return 10.0 * np.log10(4.0 / np.maximum(error, 1e-12))


def _statistics(generator):
    """Mean of w `[D]`, and the root mean square distance from it per feature."""
    z = make_latents(SAMPLES, generator.z_dim, seed=0)
    w = tf.cast(generator.mapping(z, one_hot(generator, np.arange(SAMPLES))), tf.float32)
    mean = tf.reduce_mean(w, axis=0)
    return mean, float(tf.sqrt(tf.reduce_mean(tf.square(w - mean))))


class _Search:
    """The latents of one batch of images after the other, with one compiled step for all.

    Args:
        generator: A `Generator`.
        batch: Images in a batch.
        layers: Latents of an image: 1, or one for each layer.
    """

    def __init__(self, generator, batch, layers):
        self.generator = generator
        self.mean, self.spread = _statistics(generator)
        self.latents = tf.Variable(tf.zeros((batch, layers, len(self.mean))))
        self.optimizer = keras.optimizers.Adam(beta_1=0.9, beta_2=0.999)
        self.optimizer.build([self.latents])
        self.update = tf.function(self._step, autograph=False)

    def run(self, images, steps, seed, bar):
        """Latents `[batch, layers, D]`; fewer images are filled up with copies of them."""
        images = tf.constant(np.resize(images, (self.latents.shape[0], *images.shape[1:])))
        self.latents.assign(tf.broadcast_to(self.mean, self.latents.shape))
        for variable in self.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        for step in range(steps):
            time = step / steps
            self.optimizer.learning_rate.assign(RATE * self.spread * _ramp(time))
            jitter = NOISE * self.spread * max(0.0, 1.0 - time / 0.75) ** 2
            self.update(images, tf.constant([seed, step], tf.int64),
                        tf.constant(jitter, tf.float32))
            bar.update()
        return self.latents

    def _step(self, images, seed, jitter):
        shape = (1, *self.latents.shape[1:])
        with tf.GradientTape() as tape:
            # The same noise for all: an image's would depend on its place otherwise.
            noise = jitter * tf.random.stateless_normal(shape, seed)
            found = self.generator.synthesis(_every_layer(self.generator, self.latents + noise))
            loss = tf.reduce_sum(_distances(found, images))
        self.optimizer.apply([tape.gradient(loss, self.latents)], [self.latents])


def _every_layer(generator, latents):
    """`[N, 1 or num_ws, D]` as `[N, num_ws, D]`."""
    return tf.broadcast_to(
        latents, (latents.shape[0], generator.synthesis.num_ws, latents.shape[-1]))


def _distances(images, originals):
    """`[N]`: mean squared errors, summed over the pyramid.

    Grey values beyond `[-1, 1]` are those of the end that they lie behind, as `draw` clips them:
    a background of -1.3 is no error where -1 is sought. The gradient passes as if there were no
    ends, or what lies on the wrong side would never come back.
    """
    images += tf.stop_gradient(tf.clip_by_value(images, -1.0, 1.0) - images)
    total = 0.0
    for level in range(LEVELS):
        total += tf.reduce_mean(tf.square(images - originals), axis=(1, 2, 3))
        if min(images.shape[1:3]) < 2 or level == LEVELS - 1:
            break
        images, originals = (tf.nn.avg_pool2d(either, 2, 2, "VALID")
                             for either in (images, originals))
    return total


def _ramp(time):
    """Factor on the rate at `time` (0 to 1): up linearly, down along a cosine (SG2 appendix D)."""
    down = min(1.0, (1.0 - time) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(down * math.pi)) * min(1.0, (time + 1e-3) / RAMP_UP)
