"""Extractors that read a trained network from a file that the user names.

Shapes: `N` images, `H W` space, `C` channels, `D` features.
"""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from stylegan2_tf import files
from stylegan2_tf.archive import check_archive
from stylegan2_tf.errors import DataError, UsageError, one_line
from stylegan2_tf.metrics.extractors import Extractor, resize
from stylegan2_tf.networks import Discriminator

# classify_image_graph_def.pb (95,673,916 bytes) of inception-2015-12-05.tgz: the network of
# Heusel et al., arXiv:1706.08500. The hash is what several public copies of it state.
FID_SHA256 = "009d6814d1bc560d4e7b236e170e9b2d5ca6f4b57bd8037f6db05776204415c6"
INCEPTION_SIDE = 299
INCEPTION_FEATURES = 2048
INCEPTION_FILES = ("classify_image_graph_def.pb from inception-2015-12-05.tgz, or Keras' "
                   "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5")


class KerasModel(Extractor):
    """The output of a Keras model, averaged over space where it has any.

    Images are resized to the model's input and given in `[-1, 1]`; one channel is repeated,
    or several are averaged, where the model asks for that.

    Args:
        name: See `Extractor`.
        path: The file, for the hash and for messages.
        function: Maps `[N, H, W, C]` to `[N, ..., D]`.
        input_shape: `(height, width, channels)`; None where any will do.
    """

    def __init__(self, name, path, function, input_shape):
        super().__init__(name, files.sha256(path))
        self._path = path
        self._function = function
        self._input_shape = input_shape

    def input_size(self, images):
        return tuple(fixed or own for fixed, own in
                     zip(self._input_shape[:2], images.shape[1:3], strict=True))

    def features(self, images):
        images = resize(images, *self.input_size(images))
        images = match_channels(images, self._input_shape[2] or images.shape[3], self.name)
        try:
            found = ops.convert_to_numpy(ops.cast(self._function(images), "float32"))
        except Exception as error:  # whatever the layers of a stranger's model raise
            raise _unfit(self._path, one_line(error)) from error
        if found.ndim < 2 or len(found) != len(images):
            raise _unfit(self._path, f"output {found.shape} for images {images.shape}")
        return found.reshape(len(found), -1, found.shape[-1]).mean(axis=1)


class InceptionGraph(Extractor):
    """`pool_3` of a frozen TensorFlow graph of Inception, on RGB in whole numbers 0 to 255.

    The graph resizes the images itself, as in the published FID, where it can: after
    `ExpandDims`. A graph that was cut later is fed at `Mul`, with `(x - 128) / 128` in 299x299.
    It runs in a session of TensorFlow 1: its batch normalisation is an operation that functions
    of TensorFlow 2 refuse.
    """

    def __init__(self, path):
        sha256 = files.sha256(path)
        self.is_fid = sha256 == FID_SHA256
        super().__init__("inception 2015-12-05" if self.is_fid else "inception graph", sha256)
        self._session, self._resizes, self._input, self._output = _open_graph(path)

    def input_size(self, images):
        return INCEPTION_SIDE, INCEPTION_SIDE

    def features(self, images):
        images = np.round((match_channels(images, 3, self.name).clip(-1, 1) + 1) * 127.5)
        if not self._resizes:
            images = (resize(images, *self.input_size(images)) - 128) / 128
        found = self._session.run(self._output, {self._input: images.astype(np.float32)})
        return found.reshape(len(images), -1)


def _open_graph(path):
    """Session, whether the graph resizes images, and the tensors to feed and to fetch."""
    import tensorflow as tf  # noqa: TID251  only TensorFlow reads its frozen graphs

    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(Path(path).read_bytes())
    except Exception as error:  # protobuf's own kinds
        raise DataError(f"{path}: expected a frozen TensorFlow graph, found: "
                        f"{one_line(error)}; give {INCEPTION_FILES}") from error
    names = {node.name for node in definition.node}
    inputs = [name for name in ("ExpandDims", "Mul") if name in names]
    if "pool_3" not in names or not inputs:
        raise DataError(f"{path}: expected a graph with nodes ExpandDims or Mul and pool_3, found "
                        f"{len(names)} others; give {INCEPTION_FILES}")
    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        output, = tf.import_graph_def(definition, {f"{inputs[0]}:0": images}, ["pool_3:0"])
    return tf.compat.v1.Session(graph=graph), inputs[0] == "ExpandDims", images, output


def load_discriminator(path):
    """The layer before the score of the discriminator that trained the generator.

    These features favour that generator: it was trained until this network saw no difference.
    Use them to watch one run, not to compare runs.

    Raises:
        DataError: The file holds no discriminator of this package.
    """
    _require(path)
    check_archive(path, Discriminator.__name__)
    model = _load(path)
    # Groups of one: the features of an image must not depend on its neighbours in the batch.
    model.head.stddev.group_size = 1
    return KerasModel("discriminator", path, model.features, (*model.resolution, model.channels))


def load_user_model(path):
    """Any Keras model with one image as input.

    Raises:
        DataError: It has no such input.
    """
    return _from_model(f"user model {Path(path).stem}", path, _load(path))


def load_inception(path):
    """Inception from a frozen graph `.pb`, or from Keras' weights `.h5` or model `.keras`.

    Raises:
        UsageError: The file is of another kind, such as PyTorch's.
        DataError: The file is missing or damaged, or holds another network.
    """
    path = Path(path)
    if path.suffix not in (".pb", ".h5", ".keras"):
        raise UsageError(f"--inception-weights: expected {INCEPTION_FILES}, found {path}")
    _require(path)
    if path.suffix == ".pb":
        return InceptionGraph(path)
    model = _load(path) if path.suffix == ".keras" else _inception_v3(path)
    if getattr(model, "output_shape", None) != (None, INCEPTION_FEATURES):
        raise DataError(f"{path}: expected InceptionV3 with include_top=False and pooling='avg', "
                        f"found output {getattr(model, 'output_shape', 'unknown')}")
    return _from_model("inception keras", path, model, INCEPTION_SIDE)


def _inception_v3(path):
    model = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    try:
        model.load_weights(path)
    except Exception as error:  # HDF5, shape and layer errors
        raise DataError(f"{path}: expected weights of InceptionV3 without its top, found: "
                        f"{one_line(error)}; give {INCEPTION_FILES}") from error
    return model


def _from_model(name, path, model, side=None):
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise _unfit(path, f"{type(model).__name__} with input {shape}")
    _, height, width, channels = shape
    return KerasModel(name, path, lambda images: model(images, training=False),
                      (height or side, width or side, channels))


def _load(path):
    _require(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a damaged archive
        raise DataError(f"{path}: expected a Keras model, found: {one_line(error)}") from error


def _require(path):
    if not Path(path).is_file():
        raise DataError(f"{path}: expected a file, found nothing there")


def _unfit(path, found):
    return DataError(f"{path}: expected a model of one image [height, width, channels] to "
                     f"features, found {found}")


def match_channels(images, channels, name):
    """Images with `channels` channels: one repeated, or all averaged to one.

    Raises:
        UsageError: Neither fits.
    """
    if images.shape[3] == channels:
        return images
    if images.shape[3] == 1:
        return np.repeat(images, channels, axis=3)
    if channels == 1:
        return images.mean(axis=3, keepdims=True)
    raise UsageError(f"extractor {name}: expected images with 1 or {channels} channels, found "
                     f"{images.shape[3]}; give --features random")
