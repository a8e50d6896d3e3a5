"""What an evaluation compares: images drawn from a trained generator, or read from a folder.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import collections
import dataclasses
import itertools
from pathlib import Path

import numpy as np

from stylegan2_tf.data import divide, division_of, find_images, printable
from stylegan2_tf.data.decode import UnreadableImage, opened
from stylegan2_tf.data.division import OPTIONS
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.fields import PRIVATE, SMALLEST_MEASURED
from stylegan2_tf.files import sha256
from stylegan2_tf.latent.listing import LIST, listed
from stylegan2_tf.manifest import read_manifest
from stylegan2_tf.options import flag
from stylegan2_tf.preparation import is_plain, native_form, open_images
from stylegan2_tf.run_folder import find_model
from stylegan2_tf.sides import as_pair, as_text

LARGEST = 1024  # side that the measures are made for
LOOKED_AT = 64  # files whose size decides that of the comparison
DRAWN_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Source:
    """One side of a comparison.

    Attributes:
        images: `[N, H, W, C]`, uint8 or uint16.
        names: Of each image; empty for a generator's.
        about: Where they come from, ready for JSON.
    """

    images: np.ndarray
    names: tuple
    about: dict


@dataclasses.dataclass(frozen=True)
class Form:
    """How images of all sides are brought to one shape: resolution (H, W), channels, fit."""

    resolution: tuple
    channels: int
    fit: str


def find_generator(path):
    """The `generator.keras` that `path` means, or None if it is a folder of images.

    Raises:
        DataError: It is a run that has not saved a model yet.
    """
    path = Path(path)
    if path.suffix == ".keras":
        return path
    model_file = find_model(path)
    if model_file is None and ((path / "config.json").is_file() or (path / "checkpoints").is_dir()):
        raise DataError(f"{path}: expected a model, found a run without one yet; it is saved after "
                        "the first epoch")
    return model_file


def draw_images(path, n, seed=0, truncation_psi=1.0):
    """Draw `n` images from the generator at `path`, as whole grey values like real ones.

    Classes are drawn in the proportions that it was trained on, where its manifest tells them.

    Returns:
        A `Source`, and the `Form` that its training gave to the real images.

    Raises:
        DataError: There is no generator, or it is damaged.
    """
    from stylegan2_tf.latent.sampling import draw, load, make_latents, to_uint8

    loaded, model_file = load(path), find_generator(path)
    manifest = read_manifest(model_file)
    labels = _labels(n, manifest.get("class_counts") or [1] * len(loaded.classes))
    latents = make_latents(n, loaded.z_dim, seed)
    images = np.concatenate([
        to_uint8(draw(loaded.generator, latents[chosen], labels[chosen], truncation_psi))
        for chosen in (slice(start, start + DRAWN_AT_ONCE)
                       for start in range(0, n, DRAWN_AT_ONCE))])
    fit = manifest["config"].get("fit", "pad")
    about = {"generator": str(model_file), "sha256": sha256(model_file), "seed": seed,
             "truncation_psi": truncation_psi, "images": n}
    whole = as_pair(manifest["config"].get("resolution", loaded.resolution))
    if whole != tuple(loaded.resolution):
        about["notices"] = [f"the training has grown to {as_text(loaded.resolution)} of "
                            f"{as_text(whole)} so far, and is measured there"]
    if loaded.classes:
        about["classes"] = {name: int((labels == label).sum())
                            for label, name in enumerate(loaded.classes)}
    return Source(images, (), about), Form(images.shape[1:3], loaded.channels, fit)


def _labels(n, counts):
    """Classes `[n]` in the proportions of `counts`; zeros where there are none."""
    shares = np.cumsum(counts or [1]) / np.sum(counts or [1])
    labels = np.searchsorted(shares, (np.arange(n) + 0.5) / n)
    return np.random.default_rng(0).permutation(labels)


def read_images(folder, cache, form):
    """All images below `folder` in one form, packed below `cache`.

    Where `generate` left its list, only what it lists counts: the grid beside is no image.

    Raises:
        UsageError, DataError: There is no image, or more than 1 % can't be read.
    """
    packed = _pack(folder, cache, form)
    drawn = _drawn(folder, packed.names)
    others = [printable(packed.names[index]) for index in np.flatnonzero(~drawn)]
    if not others:
        return _source(folder, packed)
    return _source(folder, packed.part(np.flatnonzero(drawn)), f"not in the {LIST} beside, and "
                   f"so left out: {len(others):,}, such as {others[0]}")


def read_as_trained(folder, cache, form, manifest):
    """The images that a run was trained on, and those that it held out.

    Args:
        folder: The data folder of the run.
        cache, form: See `read_images`.
        manifest: What `read_manifest` gave.

    Returns:
        (`Source` of the training images, `Source` of those held out or None, lines for the
        user). Where `folder` holds other images, all of them are taken, and a line says so.
    """
    packed, options = _pack(folder, cache, form), division_of(manifest["config"])
    try:
        train, held, lines = divide(packed, **options)
    except (DataError, UsageError):  # other names than those of the run
        train = None
    if train is None or manifest.get("images") != train.fingerprint:
        return _source(folder, packed), None, [
            f"note: {folder} is not what this generator was trained on, or has changed since: "
            f"all its images are taken{_untold(options)}"]
    return _source(folder, train), held and _source(folder, held), lines


def _untold(options):
    """What the manifest of a model that was taken out of its run folder keeps to itself."""
    untold = [flag(name) for name in OPTIONS if name in PRIVATE and name not in options]
    return untold and f" (only its run folder tells its {', '.join(untold)})" or ""


def _pack(folder, cache, form):
    return open_images(folder, cache, resolution=form.resolution, channels=form.channels,
                       fit=form.fit)


def _drawn(folder, names):
    """Which of `names` are listed, or lie where `generate` has listed nothing: `[N]` bool.

    Raises:
        DataError: None.
    """
    paths = [Path(folder) / name for name in names]
    lists = {place: listed(place) for place in {path.parent for path in paths}}
    found = np.array([lists[path.parent] is None or path.name in lists[path.parent]
                      for path in paths])
    if not found.any():
        raise DataError(f"{folder}: expected images that {LIST} lists, found others only, such as "
                        f"{names[0]}; of `generate --format npy` none can be read here")
    return found


def _source(folder, packed, *notices):
    about = {"folder": str(folder), "fingerprint": packed.fingerprint, "images": len(packed),
             "notices": [*packed.notices, *notices]}
    return Source(packed.array, packed.names, about)


def find_form(folder, resolution=None, channels=None, fit="pad"):
    """The form that most images below `folder` have already; `resolution` and `channels` win."""
    if not is_plain(folder):
        size, own = native_form(folder)
        return Form((resolution, resolution) if resolution else size, channels or own, fit)
    sizes, modes = collections.Counter(), collections.Counter()
    paths = find_images(folder)
    paths = list(itertools.compress(paths, _drawn(folder, [path.relative_to(folder)
                                                           for path in paths])))
    for path in paths[::max(len(paths) // LOOKED_AT, 1)]:
        try:
            with opened(path) as image:
                sizes[image.height, image.width] += 1
                modes["grey" if image.mode[0] in "1LIF" else "colour"] += 1
        except UnreadableImage:
            continue  # packing reports it
    size = (resolution, resolution) if resolution else max(sizes, key=sizes.get, default=(64, 64))
    return Form(size, channels or (3 if modes["colour"] > modes["grey"] else 1), fit)


def check_form(form):
    """Refuse sides that no measure is made for. Raises `UsageError`."""
    if min(form.resolution) < SMALLEST_MEASURED or max(form.resolution) > LARGEST:
        height, width = form.resolution
        raise UsageError("--resolution: expected sides of "
                         f"{SMALLEST_MEASURED} to {LARGEST} pixels, "
                         f"found {height}x{width}; two folders can be brought to another by it")
