"""Which images a run trains on, and which people it holds out."""

import numpy as np

from stylegan2_tf.data.index import spread
from stylegan2_tf.data.subjects import split_by_subject, subject_scheme
from stylegan2_tf.errors import UsageError


def division_of(config):
    """What `divide` and `choose` take of a configuration's fields, a dict."""
    return {name: config[name] for name in ("holdout", "seed", "subject_pattern", "max_images")
            if name in config}


def divide(packed, **options):
    """Part images into those to train on and those of people held out.

    Args:
        packed: `PackedImages`.
        **options: See `choose`.

    Returns:
        (`PackedImages` to train on, `PackedImages` held out or None, lines for the user).
    """
    kept, held, lines = choose(packed.names, **options)
    train = packed if len(kept) == len(packed) else packed.part(kept)
    return train, None if held is None else packed.part(held), lines


def choose(names, *, holdout=0.0, seed=0, subject_pattern=None, max_images=None):
    """Choose by name which images to train on and which to hold out.

    Args:
        names: Relative paths of all images.
        holdout: Share of the subjects to hold out; 0 for none.
        seed: Decides who is held out.
        subject_pattern: Regular expression for the subject in a file name; None tries the
            built-in patterns. Where no subject is known, single images are held out.
        max_images: Train on at most so many, evenly spread over the sorted names.

    Returns:
        (indices to train on, indices held out or None, lines for the user).

    Raises:
        UsageError: `subject_pattern` does not fit the names, or a single image is held out,
            which no metric can compare with.
        DataError: There are not two subjects to part.
    """
    kept, held, lines = np.arange(len(names)), None, []
    if holdout:
        kept, held = split_by_subject(names, holdout, seed=seed, pattern=subject_pattern)
        if len(held) < 2:
            raise UsageError(f"--holdout: expected a share that holds out 2 images or more, found "
                             f"{holdout} of {len(names)} images; give a larger one, or 0")
        scheme, subjects = subject_scheme(names, subject_pattern)
        lines.append(_describe(scheme, subjects, kept, held))
    if max_images is not None and max_images < len(kept):
        kept = kept[spread(max_images, len(kept))]
        lines.append(f"--max-images: {max_images:,} of {len(names):,} images are trained on")
    return kept, held, lines


def _describe(scheme, subjects, kept, held):
    if subjects is None:
        return (f"held out       {len(held):,} of {len(kept) + len(held):,} images one by one: the "
                "file names tell no subjects (--subject-pattern)")
    people = [len({subjects[index] for index in part}) for part in (held, kept)]
    return (f"held out       {people[0]:,} of {sum(people):,} subjects, {len(held):,} images; "
            f"subjects by {scheme}")
