"""Demonstration slices: random variations of the MNI152 average brain, named like OASIS.

A subject is the template seen through a smooth random deformation. Where 152 people
were averaged, cortex and sulci are blurred into tissue probabilities; a smooth random
field per tissue decides anew between them, so each subject has folds of its own.
Everything about subject k is a function of (seed, k) alone.
"""

import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np

from stylegan2_tf.errors import OutputError, UsageError
from stylegan2_tf.files import sweep, write_json, write_text

SLICES = 32
WARNING = ("Made by varying one average of 152 people (MNI152): a demonstration without "
           "diagnostic or scientific value.")
NOTICE = f"""\
DEMONSTRATION DATA

{WARNING}
The variety of real brains is missing and no disease is shown. The slices are no
substitute for OASIS, ADNI or any other study.

Source: the MNI ICBM152 2009a T1, grey-matter and white-matter templates, as distributed with
nilearn, deformed and recoloured by stylegan2_tf. Their notice, which must stay in all copies:

Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological
Institute, McGill University. Permission to use, copy, modify, and distribute this software and
its documentation for any purpose and without fee is hereby granted, provided that the above
copyright notice appear in all copies. The authors and McGill University make no representations
about the suitability of this software for any purpose. It is provided "as is" without express or
implied warranty. The authors are not responsible for any data loss, equipment damage, property
loss, or injury to subjects or patients resulting from the use or misuse of the software package.
"""

_RECORD = "demo-data.json"
_RECIPE = 1  # raise it when the same seed would give other images
_FRAME = 236.0  # mm: the brain, 180 mm long, then fills three quarters of the frame
_CENTRE = np.array([12.0, -17.0, 0.0], np.float32)  # mm; coordinates are z, y, x as in MNI
_ORIGIN = (-72, -134, -98)  # mm: voxel 0 of the template, whose voxels are 1 mm
_BOTTOM, _TOP = -33.0, 65.0  # mm: pons and temporal poles to just below the vertex
_FINEST = 128  # smaller images are averaged from this grid, and so show the same brain


def make_demo_data(folder, *, subjects=40, size=128, seed=0, progress=True):
    """Write `subjects` x 32 axial slices, `case_001_slice_0.nii.png` and so on, into `folder`.

    The same call again completes what was interrupted and otherwise writes nothing.
    `NOTICE.txt` and `demo-data.json` (the settings) are written beside the images.

    Args:
        folder: Where to write. Absent, empty or begun by this function.
        subjects: How many; a smaller set is the beginning of a larger one.
        size: Pixels along an edge, 16 to 512. Beyond 256 the template has no more detail.
        seed: Another seed gives other subjects.
        progress: Whether to show a bar on a terminal, and to say if nothing was to be done.

    Returns:
        The number of slices written.

    Raises:
        UsageError: An argument is out of range, `folder` holds something else, or
            nilearn or nibabel is not installed.
        OutputError: `folder` cannot be written, or the template not be read.
    """
    for name, value, low, high in (("subjects", subjects, 1, 9999), ("size", size, 16, 512),
                                   ("seed", seed, 0, 2**63 - 1)):
        if type(value) is not int or not low <= value <= high:
            raise UsageError(f"`{name}` must be a whole number from {low} to {high}. "
                             f"Received: {name}={value!r}")
    settings = dict(subjects=subjects, size=size, seed=seed, recipe=_RECIPE)
    folder = Path(folder)
    try:
        missing = _missing(folder, settings)
        if missing:
            _write(folder, missing, settings, load_template(), progress)
        elif progress:
            print(f"{folder} is complete; nothing to do.", file=sys.stderr)
    except OSError as error:
        raise OutputError(f"Cannot make demonstration data in {folder}: {error}.") from error
    return len(missing) * SLICES


def load_template():
    """Return CSF, grey and white matter (0 to 1), T1 (white is 1) and the brain mask, z y x."""
    paths = _template_paths()
    import nibabel

    t1, grey, white = (np.asanyarray(nibabel.load(path).dataobj).T.astype(np.float32)
                       for path in paths)
    grey, white, mask = grey / 255, white / 255, (t1 > 0).astype(np.float32)
    return np.maximum(1 - grey - white, 0), grey, white, t1 / 222, mask


def make_subject(template, subject, size, seed):
    """Return the slices of one subject, uint8 of shape (32, size, size), anterior up."""
    from scipy.ndimage import map_coordinates

    rng = np.random.default_rng([seed, subject])
    # As in life, several variations go together: large ventricles, wide sulci, less contrast.
    age = rng.beta(1.3, 2.0)
    factor = -(-_FINEST // size)  # averages factor x factor pixels into one
    axes = _grid(size * factor)
    voxels = _deform(rng, axes, age)
    csf, grey, white, t1, mask = (map_coordinates(one, voxels, order=1) for one in template)
    # The average has lost the sulci as CSF; its T1 still darkens between their banks.
    csf = np.maximum(csf, ((0.78 - t1) / 0.36).clip(0, 0.6))
    # Sharpen the probabilities and let smooth noise choose where they are undecided.
    logits = [1.8 * np.log(p + 0.02) for p in (csf, grey, white)]
    for logit, spacing, amount in zip(logits, (5, 6, 5), (0.9, 0.7, 0.9), strict=True):
        logit += amount * _field(rng, axes, spacing)
    logits[0] += -0.5 + 1.8 * age + 0.5 * _field(rng, axes, 40)
    logits[2] += 0.25 * rng.standard_normal() - 0.4 * age
    tissues = np.exp(logits - np.max(logits, axis=0))
    tissues /= tissues.sum(0)
    means = (rng.uniform(0.18, 0.34), rng.uniform(0.64, 0.74) + 0.05 * age, 1.0)
    image = np.tensordot(np.array(means, np.float32), tissues, 1)
    image += 0.5 * (t1 - 0.29 * csf - 0.75 * grey - white)  # nuclei, tracts, vessels
    # The coil sees the top of the head less.
    height = np.linspace(0.5, -0.5, SLICES, dtype=np.float32)[:, None, None]
    image *= np.exp(0.05 * _field(rng, axes, 90) + rng.uniform(0, 0.35) * height)
    image *= _smoothstep(mask, 0.35, 0.75)
    return _scan(rng, image.reshape(SLICES, size, factor, size, factor).mean((2, 4)))


def _scan(rng, image):
    """Blur, gamma, Rician noise inside the brain, brightness; then 8 bits."""
    from scipy.ndimage import gaussian_filter

    blur, gamma, noise, white = rng.uniform((0.3, 0.85, 0.008, 195), (0.75, 1.2, 0.025, 235))
    sigma = blur / _FRAME * image.shape[-1]
    image = gaussian_filter(image, (0, sigma, sigma)).clip(0) ** np.float32(gamma)
    grain = np.float32(noise) * rng.standard_normal((2, *image.shape), np.float32)
    image = np.hypot(image + grain[0], grain[1]) * _smoothstep(image, 0.02, 0.1)
    return (image * white).clip(0, 255).round().astype(np.uint8)


def _grid(size):
    """Return the z, y and x of the pixels in mm: slices upwards, rows from the front."""
    across = ((np.arange(size) + 0.5) / size - 0.5) * _FRAME
    return np.linspace(_BOTTOM, _TOP, SLICES), _CENTRE[1] - across, _CENTRE[2] + across


def _deform(rng, axes, age):
    """Return where each pixel lies in the template, in voxels, of shape (3, Z, Y, X)."""
    from scipy.spatial.transform import Rotation

    points = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    turn = Rotation.from_euler("xyz", rng.normal(0, (1.5, 1.5, 3.0)), degrees=True)
    scale = 1 + rng.normal(0, 0.03) + rng.normal(0, (0.015, 0.03, 0.03))
    centre, shift = _column(_CENTRE), _column(rng.normal(0, (1.5, 2.5, 1.0)))
    matrix = (turn.as_matrix() / scale).astype(np.float32)
    points = np.tensordot(matrix, points - centre - shift, 1) + centre
    for spacing, amount, likeness in ((50, 2.8, 0.7), (25, 1.7, 0.3), (12, 0.8, 0.0)):
        for axis, sign in enumerate((1, 1, -1)):
            field = amount * _field(rng, axes, spacing)
            # The two halves of a head are more alike than two heads.
            field += sign * likeness * field[..., ::-1]
            points[axis] += field / math.sqrt(1 + likeness**2)
    # Larger ventricles: the space around them is magnified, mostly sideways.
    growth = min(0.95 * age - 0.2 + rng.normal(0, 0.1), 0.8)
    z, y, x = points - _column((14, -16, 0))
    bump = np.exp(-(z / 22) ** 2 - (y / 46) ** 2 - (x / 24) ** 2) * growth
    points -= bump * np.stack([0.5 * z, 0.25 * y, 0.75 * x])
    return points - _column(_ORIGIN)


def _field(rng, axes, spacing):
    """Return a smooth random field on the grid `axes`: cubic B-splines, variance near 1."""
    # The knots do not depend on the grid, so a finer grid shows the same field.
    bounds = ((_BOTTOM, _TOP), *((c - _FRAME / 2, c + _FRAME / 2) for c in _CENTRE[1:]))
    knots = [np.arange(low - spacing, high + 2 * spacing, spacing) for low, high in bounds]
    field = rng.standard_normal([len(k) for k in knots], dtype=np.float32)
    for axis, knot in zip(axes, knots, strict=True):
        t = np.abs(axis[:, None] - knot) / spacing
        weights = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6)
        # Contracts the first axis and appends the new one: after three rounds, z y x.
        field = np.tensordot(field, weights.astype(np.float32) / 0.692, ((0,), (1,)))
    return field


def _column(values):
    return np.array(values, np.float32).reshape(3, 1, 1, 1)


def _smoothstep(values, low, high):
    values = ((values - low) / (high - low)).clip(0, 1)
    return values * values * (3 - 2 * values)


def _paths(folder, subject):
    return [folder / f"case_{subject:03d}_slice_{index}.nii.png" for index in range(SLICES)]


def _template_paths():
    """Find the T1, grey and white template inside nilearn's wheel, without its slow import."""
    specs = [importlib.util.find_spec(name) for name in ("nilearn", "nibabel")]
    folder = Path(specs[0].origin).parent / "datasets" / "data" if all(specs) else Path()
    paths = [folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
             for kind in ("t1", "gm", "wm")]
    if not all(path.is_file() for path in paths):
        raise UsageError("Expected the MNI152 template inside nilearn, and nibabel to read it; "
                         'not found. Install them: pip install -e ".[demo]"')
    return paths


def _missing(folder, settings):
    """Return the subjects still to be written. Refuses a folder that holds something else."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"Expected a folder for the demonstration data. {folder} is a file.")
    everyone = range(1, settings["subjects"] + 1)
    record = folder / _RECORD
    if not record.exists():
        if folder.exists() and any(p.name[0] != "." for p in folder.iterdir()):
            raise UsageError(f"{folder} holds other files: name a new or an empty folder.")
        return list(everyone)
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        done = int(found.pop("subjects_done"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{record} is not what demo-data wrote: name another folder.") from error
    if found != settings:
        text = ", ".join(f"{name} {value}" for name, value in found.items())
        raise UsageError(f"{folder} holds other demonstration data ({text}): name a new folder.")
    # A kill leaves half a subject behind, a power cut files of no bytes.
    return [k for k in everyone if k > done
            or not all(p.is_file() and p.stat().st_size for p in _paths(folder, k))]


def _write(folder, subjects, settings, template, progress):
    """Write the images of `subjects`; after each, record how far the folder is complete."""
    from PIL import Image
    from tqdm import tqdm

    # All before the first missing one are done.
    write_json(folder / _RECORD, {**settings, "subjects_done": subjects[0] - 1})
    sweep(folder)
    write_text(folder / "NOTICE.txt", NOTICE)
    for subject in tqdm(subjects, "Subjects", unit="", disable=None if progress else True):
        images = make_subject(template, subject, settings["size"], settings["seed"])
        for path, image in zip(_paths(folder, subject), images, strict=True):
            Image.fromarray(image).save(path)
        write_json(folder / _RECORD, {**settings, "subjects_done": subject})
    write_json(folder / _RECORD, {**settings, "subjects_done": settings["subjects"]})
