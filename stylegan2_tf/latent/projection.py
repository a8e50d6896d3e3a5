"""Find the w whose image resembles a given one (SG2 appendix D, without a network's features).

Shapes: `N` images, `H W` space, `C` channels, `D` latent.
"""

import dataclasses
import functools
import math

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from stylegan2_tf.latent.noise import autocorrelation, constant_noise, standardized
from stylegan2_tf.latent.sampling import generator_of, make_latents, map_latents, synthesize

SAMPLES = 1000  # latents that tell the mean of w and how far it spreads, and where to start
RATE = 0.1  # Adam's, in standard deviations of w and of noise
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the steps over which the rate grows and falls
JITTER = 0.05  # added to w in three quarters of the first part of the steps, in the same unit
AT_ONCE = 32  # images in a batch
DRAWN = 32  # random images at a time
LEVELS = 4  # of the pyramid: full size, half, quarter, eighth
# Weight of the maps' autocorrelation. Without it the picture hides in them: at 64 pixels with noise
# of strength 0.02, real slices in w went from 23 to 44 dB; with 100 they stay at 23.4.
REGULARIZATION = 100.0
# Parts of equal length, each with a rate that grows and falls: whether all layers have one w, and
# the rate's share. At the full one, w+ soon loses in a few steps what w has found.
PARTS = {"w": ((True, 1.0),), "w+": ((True, 1.0), (False, 0.3))}
NOISES = ("const", "optimise")
STARTS = ("best", "mean")


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


def project(model, images, *, steps=300, space="w", noise="const", start="best", seed=0,
            progress=False, watch=None):
    """Optimise latents so that the generator's images become the given ones.

    The loss is the squared error of the images and of their halved, quartered and eighth-size
    versions: the small ones lead to the place, the full one to the detail. Every image has its
    own optimum, which depends neither on the others nor on its place among them.

    Args:
        model: A `Generator`, or what `load` returns.
        images: Floats `[N, H, W, C]` in `[-1, 1]`.
        steps: Updates.
        space: "w" for one latent an image; "w+" for one a layer, which part from the one for all
            that the first half of the steps has found.
        noise: "const" for the maps saved with the model; "optimise" to start from them and
            optimise them with w, regularised (SG2 appendix D).
        start: "best" for the w of the most similar of 1,000 random images, or "mean" for the mean
            of w, the same for all images.
        seed: Decides the jitter that is added to w at first, the same for all images.
        progress: Show a bar, if standard error is a terminal.
        watch: Called with the number of steps done and the images so far `[N, H, W, C]`, a
            tensor, of the first `AT_ONCE` images at most.

    Returns:
        A `Projection`.

    Raises:
        ValueError: There is no image, they have another size than the generator's or are not
            within -1 to 1, `space`, `noise` or `start` is unknown, or the generator has no noise
            to optimise.
    """
    generator = generator_of(model)
    images = checked_targets(generator, images)
    _check_options(generator, space, noise, start)
    w = map_latents(generator, make_latents(SAMPLES, generator.z_dim)).astype(np.float32)
    mean, spread = _statistics(w)
    first = np.zeros((len(images), len(mean)), np.float32)
    if start == "best":
        first = (w[_nearest(generator, w, images, progress)] - mean) / spread
    search = _search(generator, min(AT_ONCE, len(images)), noise == "optimise")
    search.centre(mean, spread)
    parts = PARTS[space] if generator.synthesis.num_ws > 1 else PARTS["w"]
    starts, found = range(0, len(images), AT_ONCE), []
    with tqdm(total=len(starts) * steps, desc="projecting", unit="step",
              disable=None if progress else True) as bar:
        for begin in starts:
            batch = slice(begin, begin + AT_ONCE)
            found.append(search.run(images[batch], first[batch], parts, steps, seed, bar,
                                    None if begin else watch))
    ws, found, *maps = map(np.concatenate, zip(*found, strict=True))
    found = np.clip(found, -1.0, 1.0)
    return Projection(ws, found, peak_signal_to_noise(found, images), maps)


def checked_targets(generator, images):
    """`images` as float32, if they are what `project` takes. Raises `ValueError`."""
    images, expected = np.asarray(images), (*generator.resolution, generator.channels)
    if not images.size or images.shape[1:] != expected:
        raise ValueError(f"Argument `images` must be [N, {', '.join(map(str, expected))}]. "
                         f"Received: shape {images.shape}")
    if images.dtype.kind != "f" or not (np.abs(images) <= 1.0 + 1e-6).all():  # nor if it is NaN
        raise ValueError("Argument `images` must be floats within -1 to 1, which "
                         "`stylegan2_tf.data.decode.signed` makes of uint8 and uint16. Received: "
                         f"{images.dtype} from {images.min()} to {images.max()}")
    return images.astype(np.float32)


def _check_options(generator, space, noise, start):
    if space not in PARTS:
        raise ValueError(f"Argument `space` must be 'w' or 'w+'. Received: space={space}")
    if noise not in NOISES or noise == "optimise" and not generator.synthesis.noise_shapes(1):
        raise ValueError("Argument `noise` must be 'const', or 'optimise' for a generator with "
                         f"noise. Received: noise={noise}")
    if start not in STARTS:
        raise ValueError(f"Argument `start` must be 'best' or 'mean'. Received: start={start}")


def peak_signal_to_noise(images, originals):
    """PSNR in dB of each image, `[N]`; both in `[-1, 1]`, so the peak is 2."""
    error = np.square(images.astype(np.float64) - originals).mean(axis=(1, 2, 3))
    return 10.0 * np.log10(4.0 / np.maximum(error, 1e-12))


def _statistics(w):
    """Mean of w `[N, D]`, and the root mean square distance from it per feature."""
    mean = w.mean(axis=0)
    return mean, math.sqrt(np.square(w - mean).mean())


def _nearest(generator, w, images, progress):
    """For each of `images`, which of `w` `[S, D]` makes the most similar one."""
    sought, apart = _pyramid(images), []
    for start in tqdm(range(0, len(w), DRAWN), desc="starting", disable=None if progress else True):
        drawn = _pyramid(synthesize(generator, w[start:start + DRAWN]))
        squares = tf.reduce_sum(tf.square(drawn), axis=1, keepdims=True)  # less those of `sought`
        apart.append(squares - 2.0 * tf.matmul(drawn, sought, transpose_b=True))
    return np.argmin(np.concatenate(apart), axis=0)


@functools.lru_cache(maxsize=2)  # the next images of a generator need no tracing again
def _search(generator, batch, noisy):
    return _Search(generator, batch, noisy)


class _Search:
    """The latents of one batch of images after the other, with one compiled step for all.

    Args:
        generator: A `Generator`.
        batch: Images in a batch.
        noisy: Whether noise maps are optimised too.
    """

    def __init__(self, generator, batch, noisy):
        self.generator, synthesis = generator, generator.synthesis
        length = generator.mapping.w_dim
        # In standard deviations from the mean of w: one rate then suits latents and noise.
        self.latents = tf.Variable(tf.zeros((batch, synthesis.num_ws, length)))
        self.mean, self.spread = tf.Variable(tf.zeros(length)), tf.Variable(1.0)
        shapes = synthesis.noise_shapes(batch) if noisy else []
        self.maps = [tf.Variable(tf.zeros(shape)) for shape in shapes]
        # Adam's own epsilon, 1e-7, is larger than the gradient of a single pixel of noise.
        self.optimizer = keras.optimizers.Adam(beta_1=0.9, beta_2=0.999, epsilon=1e-12)
        self.optimizer.build(self.variables)
        self.update = tf.function(self._step, autograph=False)

    @property
    def variables(self):
        return [self.latents, *self.maps]

    def centre(self, mean, spread):
        """Measure latents from `mean` `[D]` in units of `spread`."""
        self.mean.assign(mean)
        self.spread.assign(spread)

    def run(self, images, first, parts, steps, seed, bar, watch=None):
        """(ws `[N, num_ws, D]`, images, noise map, noise map, ...) of `images`, as NumPy.

        Latents start at `first` `[N, D]`. Of `parts` see `PARTS`. Fewer images than a batch are
        filled up with copies.
        """
        count, (batch, _, length) = len(images), self.latents.shape
        images = tf.constant(np.resize(images, (batch, *images.shape[1:])))
        first = np.resize(first, (batch, 1, length))
        self.latents.assign(tf.broadcast_to(first, self.latents.shape))
        for noise, saved in zip(self.maps, constant_noise(self.generator.synthesis, batch),
                                strict=False):  # no maps where they are not optimised
            noise.assign(saved)
        for number, (tied, share) in enumerate(parts):
            begin, end = (steps * edge // len(parts) for edge in (number, number + 1))
            for variable in self.optimizer.variables:
                variable.assign(keras.ops.zeros_like(variable))
            for step in range(begin, end):
                time = (step - begin) / (end - begin)
                self.optimizer.learning_rate.assign(RATE * share * _ramp(time))
                jitter = 0.0 if number else JITTER * max(0.0, 1.0 - time / 0.75) ** 2
                found = self.update(images, tf.constant([seed, step], tf.int64),
                                    tf.constant(jitter, tf.float32), tf.constant(tied))
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
        return self.mean + self.spread * (self.latents + jitter)

    def _draw(self, jitter):
        maps = [tf.convert_to_tensor(noise) for noise in self.maps]
        return self.generator.synthesis(self._ws(jitter), noise=maps or None)

    def _step(self, images, seed, jitter, tied):
        """One update. Returns the images before it."""
        with tf.GradientTape() as tape:
            # The same jitter for all: an image's would depend on its place otherwise.
            found = self._draw(jitter * tf.random.stateless_normal(self.mean.shape, seed))
            loss = tf.reduce_sum(_distances(found, images))
            for noise in self.maps:
                loss += REGULARIZATION * tf.reduce_sum(autocorrelation(noise.value()))
        along, *others = tape.gradient(loss, self.variables)
        mean = tf.reduce_mean(along, axis=1, keepdims=True)  # alike gradients keep layers alike
        self.optimizer.apply([tf.where(tied, mean, along), *others], self.variables)
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
    return tf.reduce_sum(tf.square(_pyramid(images) - _pyramid(originals)), axis=1)


def _pyramid(images):
    """`[N, P]`: all pixels of all levels, so that squares are mean squares of each level."""
    levels = []
    while True:
        pixels = tf.reshape(images, (images.shape[0], -1))
        levels.append(pixels / math.sqrt(pixels.shape[1]))
        if min(images.shape[1:3]) < 2 or len(levels) == LEVELS:
            return tf.concat(levels, axis=1)
        images = tf.nn.avg_pool2d(images, 2, 2, "VALID")


def _ramp(time):
    """Factor on the rate at `time` (0 to 1): up linearly, down along a cosine (SG2 appendix D)."""
    down = min(1.0, (1.0 - time) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(down * math.pi)) * min(1.0, (time + 1e-3) / RAMP_UP)
