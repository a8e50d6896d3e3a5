"""Start a training from the weights of a saved model, wherever they fit.

Layers are numbered by resolution from the lowest, so a network for larger images takes what
one for smaller images knows.
"""

import numpy as np

from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.sampling import generator_file, load_model
from stylegan2_tf.networks import Discriminator, Generator
from stylegan2_tf.run_folder import DISCRIMINATOR_NAME

LISTED = 6  # names in a line, at most


def take_weights(step_function, path):
    """Copy fitting weights of the model at `path` into the networks of a `TrainStep`.

    A weight fits if its place in the network and its shape are the same. The first layer after
    the latent also takes weights of a network without classes: the rows for the class start at
    zero, so that at first every class is what the old network painted.

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
    lines = _copy(generator, step_function.generator, "generator")
    _copy(generator, step_function.generator_ema, "generator_ema")
    beside = model_file.with_name(DISCRIMINATOR_NAME)
    if beside.is_file():
        lines += _copy(load_model(beside, Discriminator), step_function.discriminator,
                       "discriminator")
    else:
        lines.append(f"discriminator  starts anew: no {DISCRIMINATOR_NAME} beside the generator")
    return [f"weights of {model_file}:", *lines]


def _copy(source, target, name):
    """Copy what fits. Returns lines about it."""
    ratio = _mapping_ratio(source, target)
    known = {_place(weight): np.asarray(weight) for weight in source.variables}
    known = {place: value * ratio if place.startswith("mapping/dense_") else value
             for place, value in known.items()}
    taken, grown, fresh = [], [], []
    for weight in target.variables:
        place = _place(weight)
        value = known.get(place)
        if value is not None and value.shape == tuple(weight.shape):
            weight.assign(value)
            taken.append(weight)
        elif (value is not None and _gains_classes(source, target, place)
              and (2 * len(value), *value.shape[1:]) == tuple(weight.shape)):
            weight.assign(_with_zero_rows(value, weight.shape[0]))
            grown.append(place)
        else:
            fresh.append(place)
    if not taken:
        raise DataError(f"--init-from: expected a model with weights that fit this {name}, found "
                        "none; give the sizes of that model (see its config.json), "
                        "or leave it out")
    count = sum(int(np.prod(weight.shape)) for weight in taken)
    lines = [f"{name:14} {len(taken)} of {len(target.variables)} weights taken "
             f"({count:,} numbers)"]
    for place in [*map(_place, taken), *grown]:
        del known[place]
    for what, places in (("with rows for the classes added", grown), ("start anew", fresh),
                         ("in the model, not used", list(known))):
        if places:
            more = f" and {len(places) - LISTED} more" if len(places) > LISTED else ""
            lines.append(f"  {what}: {', '.join(places[:LISTED])}{more}")
    return lines


def _mapping_ratio(source, target):
    """What the mapping's weights are multiplied with, to do the same at another multiplier.

    An equalised layer stores them divided by its multiplier of the learning rate.
    """
    multipliers = [getattr(getattr(model, "mapping", None), "lr_multiplier", 1.0)
                   for model in (source, target)]
    return np.float32(multipliers[0] / multipliers[1])


def _place(weight):
    """Path of a weight inside its network, which is called otherwise in each model."""
    return weight.path.split("/", 1)[1]


def _gains_classes(source, target, place):
    """Whether `place` is the first layer after the latent of a network that now has classes."""
    return (isinstance(target, Generator) and target.classes and not source.classes
            and place in ("mapping/dense_0/kernel", "synthesis/dense/kernel"))


def _with_zero_rows(kernel, rows):
    """Zero rows below `kernel`, which is scaled so that the layer gives the same as before.

    An equalised layer divides by the root of its number of rows.
    """
    scale = np.sqrt(rows / len(kernel), dtype=np.float32)
    added = np.zeros((rows - len(kernel), *kernel.shape[1:]), np.float32)
    return np.concatenate([kernel * scale, added])
