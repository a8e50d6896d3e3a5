"""What networks made of layers share: how a model file describes them, and attention."""

import keras

from stylegan2_tf.layers import SelfAttention2D


def make_attention(side, sides, dtype):
    """The layer that attends on maps whose longer side is `side`; None if that is None.

    Raises:
        ValueError: No maps of the network, whose longer sides are `sides`, are that large.
    """
    if side is None:
        return None
    if side not in sides:
        raise ValueError(f"Argument `attention` must be one of {sides}. "
                         f"Received: attention={side}")
    return SelfAttention2D(name="attention", dtype=dtype)


def describe(layer):
    """`layer` as plain data. The network that holds it builds it, so its shapes stay out."""
    description = keras.saving.serialize_keras_object(layer)
    description.pop("build_config", None)
    return description


def restore(config, names):
    """`config` with the layers called `names` made from their descriptions."""
    return {**config, **{name: keras.saving.deserialize_keras_object(config[name])
                         for name in names}}


def check_label(label, label_dim):
    """Refuse a missing label, or one of a network without classes. Raises `ValueError`."""
    if (label is not None) != bool(label_dim):
        raise ValueError(f"Argument `label` must be given if there are classes, and only then "
                         f"(there are {label_dim}). Received: label={label}")
