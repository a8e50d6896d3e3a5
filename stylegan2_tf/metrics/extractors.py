"""What turns images into features, and how to name it: every extractor carries a hash.

Shapes: `N` images, `H W` space, `C` channels, `D` features.
"""

import hashlib
import math

import numpy as np

from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.metrics.images import BLOCK, in_blocks

KINDS = ("pixels", "random", "discriminator", "inception")
PIXELS_AT_ONCE = 1 << 20  # of the images in one block, in the size that the extractor reads


class Extractor:
    """Base class: images `[N, H, W, C]`, in any value type, to float32 features `[N, D]`.

    The features of an image depend on that image alone.

    Attributes:
        name: "pixels", "random", "discriminator", "user model NAME" or "inception ...".
        sha256: Of the weights, or of the definition where there are none.
        is_fid: Whether the Fréchet distance of these features is the published FID.
    """

    is_fid = False

    def __init__(self, name, sha256):
        self.name = name
        self.sha256 = sha256

    @property
    def label(self):
        return f"{self.name} sha256:{self.sha256[:12]}"

    def __call__(self, images):
        height, width = self.input_size(images)
        block = max(1, min(BLOCK, PIXELS_AT_ONCE // (height * width)))
        features = in_blocks(self.features, images, block).astype(np.float32, copy=False)
        if not np.isfinite(features).all():
            raise DataError(f"extractor {self.name}: expected finite features, found NaN or "
                            "infinity; the images or the weights are damaged")
        return features

    def input_size(self, images):
        """Height and width that the extractor works at."""
        return images.shape[1:3]

    def features(self, images):
        """`[N, D]` of one block: float32 `[N, H, W, C]` in `[-1, 1]`."""
        raise NotImplementedError


class Pixels(Extractor):
    """The image itself, area-averaged to at most 16x16 (the longer side) and flattened."""

    SIDE = 16
    DEFINITION = f"area average to at most {SIDE}x{SIDE}, values in [-1, 1]"

    def __init__(self):
        super().__init__("pixels", hashlib.sha256(self.DEFINITION.encode()).hexdigest())

    def features(self, images):
        height, width = images.shape[1:3]
        scale = min(1.0, self.SIDE / max(height, width))
        small = resize(images, max(1, round(scale * height)), max(1, round(scale * width)))
        return small.reshape(len(images), -1)


class RandomNetwork(Extractor):
    """A fixed random convolutional network: features without any download or training.

    Four levels of 3x3 convolution and leaky ReLU, with 2x average pooling between them, on
    images in `[0, 1]` (black is 0, so that padding adds no border). A level gives the mean
    absolute value and the standard deviation of each channel; the last one gives the mean
    absolute value of each quarter of the image instead, because means over the whole image
    are blind to where things lie. Three choices make it see more than brightness, which
    dominates plain random filters: every second filter has zero mean and so reads edges and
    texture only; `log(1 + f / 0.01) / log(1 + 1 / 0.01)` makes relative changes of small
    and large responses count alike; both kinds of average are taken, because blur lowers the
    standard deviation most and noise raises the absolute value of flat regions most.

    Weights are He-uniform. They come from `default_rng(0).random`, which gives the same bits
    on every machine.

    Reference:
        Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models,
        arXiv:2002.09797: random embeddings judge images unlike ImageNet's more fairly.
    """

    DEFINITION = "means and deviations of 3 levels, means of quarters of the 4th, logarithmic"
    FILTERS = (16, 32, 32, 24)
    SLOPE = 0.2
    FLOOR = 0.01
    CHANNELS = 4  # of an image, at most; one with fewer uses the first slices of the kernels
    SMALLEST = 2 ** len(FILTERS)

    def __init__(self):
        rng = np.random.default_rng(0)
        inputs = (self.CHANNELS, *self.FILTERS)
        self._kernels = [2 * rng.random((3, 3, *shape), np.float32) - 1
                         for shape in zip(inputs, self.FILTERS, strict=False)]
        content = [self.DEFINITION.encode(), *(kernel.tobytes() for kernel in self._kernels)]
        super().__init__("random", hashlib.sha256(b"".join(content)).hexdigest())
        for kernel in self._kernels:
            kernel[..., ::2] -= kernel[..., ::2].mean(axis=(0, 1))

    def features(self, images):
        from keras import ops

        if min(images.shape[1:3]) < self.SMALLEST or images.shape[3] > self.CHANNELS:
            raise UsageError(
                f"extractor random: expected images of {self.SMALLEST} pixels or more and at most "
                f"{self.CHANNELS} channels, found {'x'.join(map(str, images.shape[1:]))}; "
                "give --features pixels")
        x, found = ops.convert_to_tensor((images + 1) / 2), []
        for level, kernel in enumerate(self._kernels):
            if level:
                x = ops.average_pool(x, 2, 2, "valid")
            kernel = kernel[:, :, :x.shape[-1]]
            # Var(uniform) = 1/3; He's gain for a leaky ReLU keeps the variance from level to level.
            scale = math.sqrt(3 * 2 / (1 + self.SLOPE**2) / math.prod(kernel.shape[:3]))
            x = ops.leaky_relu(ops.conv(x, kernel * scale, padding="same"), self.SLOPE)
            if level < len(self._kernels) - 1:
                found += [ops.mean(ops.abs(x), axis=(1, 2)), ops.std(x, axis=(1, 2))]
        quarters = resize(np.abs(ops.convert_to_numpy(x)), 2, 2)
        found = [*map(ops.convert_to_numpy, found), quarters.reshape(len(images), -1)]
        return np.log1p(np.concatenate(found, axis=1) / self.FLOOR) / math.log1p(1 / self.FLOOR)


def resize(images, height, width):
    """Images `[N, H, W, C]` in another size: area averages down, bilinear up, per axis."""
    if images.shape[1:3] == (height, width):
        return images
    rows, columns = (_interpolation(*sides) for sides in
                     ((images.shape[1], height), (images.shape[2], width)))
    across = np.tensordot(np.tensordot(images, rows, axes=(1, 1)), columns, axes=(1, 1))
    return np.moveaxis(across, 1, 3)  # was [N, C, height, width]


def _interpolation(side, target):
    """Matrix `[target, side]` whose rows are the weights of each new pixel."""
    scale = side / target
    new, old = np.arange(target)[:, None], np.arange(side)
    if scale >= 1:  # how much of each old pixel lies in the new one
        overlap = np.minimum((new + 1) * scale, old + 1) - np.maximum(new * scale, old)
        return (overlap.clip(0) / scale).astype(np.float32)
    centre = ((new + 0.5) * scale - 0.5).clip(0, side - 1)
    return (1 - abs(centre - old)).clip(0).astype(np.float32)


def make_extractor(kind, *, discriminator=None, inception_weights=None):
    """The extractor that `kind` names.

    Args:
        kind: "pixels"; "random"; "discriminator"; "inception"; or the path of a Keras model
            `*.keras` that maps images to features.
        discriminator: Path of `Model/discriminator.keras`; for "discriminator".
        inception_weights: Path of `classify_image_graph_def.pb` (whose Fréchet distance is
            FID) or of Keras' InceptionV3 weights; for "inception".

    Returns:
        An `Extractor`.

    Raises:
        UsageError: An unknown kind, or the path that it needs is not given.
        DataError: The file is missing, damaged, or maps images to no features.
    """
    if kind == "pixels":
        return Pixels()
    if kind == "random":
        return RandomNetwork()
    from stylegan2_tf.metrics import pretrained

    if kind == "discriminator":
        return pretrained.load_discriminator(
            _given(discriminator, kind, "a run folder, which holds Model/discriminator.keras"))
    if kind == "inception":
        return pretrained.load_inception(
            _given(inception_weights, kind, f"--inception-weights {pretrained.INCEPTION_FILES}"))
    if str(kind).endswith(".keras"):
        return pretrained.load_user_model(kind)
    raise UsageError(f"--features: expected {', '.join(KINDS)} or the path of a Keras model "
                     f"*.keras, found {kind}")


def _given(path, kind, what):
    if path is None:
        raise UsageError(f"--features {kind}: expected a file, found none; give {what}")
    return path
