"""Start a training from the weights of a saved model, wherever they fit.

Layers are numbered by resolution from the lowest, so a network for larger images takes what
one for smaller images knows.
"""

import numpy as np

from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.sampling import load_model
from stylegan2_tf.manifest import generator_file
from stylegan2_tf.networks import Discriminator, Generator
from stylegan2_tf.run_folder import DISCRIMINATOR_NAME

LISTED = 6  # names in a line, at most
AFTER_LATENT = ("mapping/dense_0/kernel", "synthesis/dense/kernel")  # read a class's embedding


def take_weights(step_function, path):
    """Copy fitting weights of the model at `path` into the networks of a `TrainStep`.

    A weight fits if its place in the network and its shape are the same. What was learned of a
    class goes to the class of that name. The first layer after the latent also takes weights of
    a network without classes: the rows for the class start at zero, so that at first every
    class is what the old network painted.

    Args:
        step_function: A `TrainStep`.
        path: A run folder, its `Model`, or the `generator.keras` there.

    Returns:
        Lines that say what was taken and what was not.

    Raises:
        DataError: There is no model, it is damaged, or no weight of its generator fits.
    """
    model_file = generator_file(path)
    generator = load_model(model_file, Generator)
    classes = generator.classes, step_function.generator.classes
    lines = _copy(generator, step_function.generator, "generator", *classes)
    _copy(generator, step_function.generator_ema, "generator_ema", *classes)
    beside = model_file.with_name(DISCRIMINATOR_NAME)
    if beside.is_file():
        lines += _copy(load_model(beside, Discriminator), step_function.discriminator,
                       "discriminator", *classes)
    else:
        lines.append(f"discriminator  starts anew: no {DISCRIMINATOR_NAME} beside the generator")
    return [f"weights of {model_file}:", *lines]


def _copy(source, target, name, old_classes, new_classes):
    """Copy what fits. Returns lines about it."""
    known = {_place(weight): np.asarray(weight) for weight in source.variables}
    ratio = _mapping_ratio(source, target)
    taken, grown, fresh = [], [], []
    for weight in target.variables:
        place = _place(weight)
        value = known.get(place)
        if place.startswith("mapping/dense_") and value is not None:
            value = value * ratio
        fitting = None if value is None else _fitting(
            value, np.asarray(weight), place, old_classes, new_classes)
        if fitting is None:
            fresh.append(place)
        else:
            weight.assign(fitting)
            (taken if fitting is value else grown).append(place)
    if not any(place.endswith("/kernel") for place in taken):
        raise DataError(f"--init-from: expected a model with weights that fit this {name}, found "
                        "none; give the sizes of that model (see its config.json), "
                        "or leave it out")
    unused = [place for place in known if place not in {*taken, *grown}]
    count = sum(known[place].size for place in taken)
    lines = [f"{name:14} {len(taken)} of {len(target.variables)} weights taken "
             f"({count:,} numbers)"]
    for what, places in (("taken", taken if fresh or grown or unused else []),
                         ("fitted to the classes", grown), ("start anew", fresh),
                         ("in the model, not used", unused)):
        if places:
            lines.append(f"  {what}: {_summary(places)}")
    return lines


def _summary(places):
    """The layers that `places` belong to, the first few by name."""
    layers = list(dict.fromkeys("/".join(place.split("/")[:2]) for place in places))
    more = f" and {len(layers) - LISTED} more" if len(layers) > LISTED else ""
    return f"{', '.join(layers[:LISTED])}{more}"


def _mapping_ratio(source, target):
    """What the mapping's weights are multiplied with, to do the same at another multiplier.

    An equalised layer stores them divided by its multiplier of the learning rate.
    """
    multipliers = [getattr(getattr(model, "mapping", None), "lr_multiplier", 1.0)
                   for model in (source, target)]
    return np.float32(multipliers[0] / multipliers[1])


def _place(weight):
    """Path of a weight inside its network, the same with and without spectral normalisation.

    The network is called otherwise in each model; the layer inside a wrapper has its name.
    """
    parts = weight.path.split("/")[1:]
    return "/".join(part for part, before in zip(parts, ["", *parts], strict=False)
                    if part != before)


def _fitting(value, fresh, place, old_classes, new_classes):
    """What the untrained `fresh` takes of the known `value`; None if nothing fits."""
    if place.endswith("embed/kernel") and old_classes != new_classes:
        return _with_known_rows(value, fresh, old_classes, new_classes)
    if value.shape == fresh.shape:
        return value
    gains = new_classes and not old_classes and place in AFTER_LATENT
    if gains and (2 * len(value), *value.shape[1:]) == fresh.shape:
        return _with_zero_rows(value, len(fresh))
    return None


def _with_known_rows(value, fresh, old_classes, new_classes):
    """`fresh` with the rows of the classes that `value` knows, by name. None if nothing fits.

    An equalised layer divides by the root of its number of rows.
    """
    known = [name for name in new_classes if name in old_classes]
    if not known or value.shape[1:] != fresh.shape[1:]:
        return None
    scale = np.sqrt(len(fresh) / len(value), dtype=np.float32)
    rows = fresh.copy()
    for name in known:
        rows[new_classes.index(name)] = value[old_classes.index(name)] * scale
    return rows


def _with_zero_rows(kernel, rows):
    """Zero rows below `kernel`, which is scaled so that the layer gives the same as before.

    An equalised layer divides by the root of its number of rows.
    """
    scale = np.sqrt(rows / len(kernel), dtype=np.float32)
    added = np.zeros((rows - len(kernel), *kernel.shape[1:]), np.float32)
    return np.concatenate([kernel * scale, added])
