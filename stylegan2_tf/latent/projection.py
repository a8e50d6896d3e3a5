"""Find the w whose image resembles a given one (SG2 appendix D, without a network's features).

Shapes: `N` images, `H W` space, `C` channels, `D` latent.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from stylegan2_tf.latent.noise import autocorrelation, constant_noise, standardized
from stylegan2_tf.latent.sampling import make_latents, one_hot

SAMPLES = 1000  # latents that tell the mean of w and how far it spreads
RATE = 0.1  # Adam's, in standard deviations of w and of noise
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the steps over which the rate grows and falls
JITTER = 0.05  # added to w in the first three quarters of the steps, in the same unit
AT_ONCE = 32  # images in a batch
LEVELS = 4  # of the pyramid: full size, half, quarter, eighth
# Weight of the maps' autocorrelation. Without it the picture hides in them: at 64 pixels with noise
# of strength 0.02, real slices in w went from 23 to 44 dB; with 100 they stay at 23.4.
REGULARIZATION = 100.0
SPACES = ("w", "w+")
NOISES = ("const", "optimise")


@dataclasses.dataclass(frozen=True)
class Projection:
    """What `project` found.

    Args:
        ws: `[N, num_ws, D]`, float32.
        images: What the generator makes of them, `[N, H, W, C]` in `[-1, 1]`.
        psnr: Peak signal-to-noise ratio of each image in dB, `[N]`.
        noise: The optimised maps, a list of `[N, H, W, 1]`; empty for those of the model.
    """

    ws: np.ndarray
    images: np.ndarray
    psnr: np.ndarray
    noise: list = dataclasses.field(default_factory=list)


def project(generator, images, *, steps=300, space="w", noise="const", seed=0, progress=False,
            watch=None):
    """Optimise latents so that the generator's images become the given ones.

    The loss is the squared error of the images and of their halved, quartered and eighth-size
    versions: the small ones lead to the place, the full one to the detail. Every image has its
    own optimum, which depends neither on the others nor on its place among them.

    Args:
        generator: A `Generator`.
        images: Float32 `[N, H, W, C]` in `[-1, 1]`.
        steps: Updates.
        space: "w" for one latent an image, "w+" for one a layer.
        noise: "const" for the maps saved with the model; "optimise" to start from them and
            optimise them with w, regularised (SG2 appendix D).
        seed: Decides the jitter that is added to w at first, the same for all images.
        progress: Show a bar, if standard error is a terminal.
        watch: Called with the number of steps done and the images so far `[N, H, W, C]`, a
            tensor, of the first `AT_ONCE` images at most.

    Returns:
        A `Projection`.

    Raises:
        ValueError: There is no image, they have another size than the generator's, `space` or
            `noise` is unknown, or the generator has no noise to optimise.
    """
    expected = (*generator.resolution, generator.channels)
    if not len(images) or tuple(images.shape[1:]) != expected:
        raise ValueError(f"Argument `images` must be [N, {', '.join(map(str, expected))}]. "
                         f"Received: shape {images.shape}")
    if space not in SPACES:
        raise ValueError(f"Argument `space` must be 'w' or 'w+'. Received: space={space}")
    if noise not in NOISES or noise == "optimise" and not generator.synthesis.noise_shapes(1):
        raise ValueError("Argument `noise` must be 'const', or 'optimise' for a generator with "
                         f"noise. Received: noise={noise}")
    images = np.asarray(images, np.float32)
    layers = generator.synthesis.num_ws if space == "w+" else 1
    search = _Search(generator, min(AT_ONCE, len(images)), layers, noise == "optimise")
    starts, found = range(0, len(images), AT_ONCE), []
    with tqdm(total=len(starts) * steps, desc="projecting", unit="step",
              disable=None if progress else True) as bar:
        for start in starts:
            found.append(search.run(images[start:start + AT_ONCE], steps, seed, bar,
                                    None if start else watch))
    ws, found, *maps = map(np.concatenate, zip(*found, strict=True))
    found = np.clip(found, -1.0, 1.0)
    return Projection(ws, found, peak_signal_to_noise(found, images), maps)


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
        noisy: Whether noise maps are optimised too.
    """

    def __init__(self, generator, batch, layers, noisy):
        self.generator = generator
        self.mean, self.spread = _statistics(generator)
        # In standard deviations from the mean of w: one rate then suits latents and noise.
        self.latents = tf.Variable(tf.zeros((batch, layers, len(self.mean))))
        self.first_maps = constant_noise(generator.synthesis, batch) if noisy else []
        self.maps = [tf.Variable(noise) for noise in self.first_maps]
        # Adam's own epsilon, 1e-7, is larger than the gradient of a single pixel of noise.
        self.optimizer = keras.optimizers.Adam(beta_1=0.9, beta_2=0.999, epsilon=1e-12)
        self.optimizer.build(self.variables)
        self.update = tf.function(self._step, autograph=False)

    @property
    def variables(self):
        return [self.latents, *self.maps]

    def run(self, images, steps, seed, bar, watch=None):
        """(ws `[N, num_ws, D]`, images, noise map, noise map, ...) of `images`, as NumPy.

        Fewer images than a batch are filled up with copies of them.
        """
        count = len(images)
        images = tf.constant(np.resize(images, (self.latents.shape[0], *images.shape[1:])))
        self.latents.assign(tf.zeros_like(self.latents))
        for noise, first in zip(self.maps, self.first_maps, strict=True):
            noise.assign(first)
        for variable in self.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        for step in range(steps):
            time = step / steps
            self.optimizer.learning_rate.assign(RATE * _ramp(time))
            jitter = JITTER * max(0.0, 1.0 - time / 0.75) ** 2
            found = self.update(images, tf.constant([seed, step], tf.int64),
                                tf.constant(jitter, tf.float32))
            if watch:
                watch(step, found[:count])
            bar.update()
        found = self._draw(0.0)
        if watch:
            watch(steps, found[:count])
        return tuple(keras.ops.convert_to_numpy(part)[:count]
                     for part in (self._ws(0.0), found, *self.maps))

    def _ws(self, jitter):
        """`[N, num_ws, D]`."""
        w = self.mean + self.spread * (self.latents + jitter)
        return tf.broadcast_to(w, (w.shape[0], self.generator.synthesis.num_ws, w.shape[-1]))

    def _draw(self, jitter):
        maps = [tf.convert_to_tensor(noise) for noise in self.maps]
        return self.generator.synthesis(self._ws(jitter), noise=maps or None)

    def _step(self, images, seed, jitter):
        """One update. Returns the images before it."""
        shape = (1, *self.latents.shape[1:])
        with tf.GradientTape() as tape:
            # The same jitter for all: an image's would depend on its place otherwise.
            found = self._draw(jitter * tf.random.stateless_normal(shape, seed))
            loss = tf.reduce_sum(_distances(found, images))
            for noise in self.maps:
                loss += REGULARIZATION * tf.reduce_sum(autocorrelation(noise.value()))
        self.optimizer.apply(tape.gradient(loss, self.variables), self.variables)
        for noise in self.maps:
            noise.assign(standardized(noise.value()))
        return found


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
