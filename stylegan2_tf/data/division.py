"""Which images a run trains on, of which classes, and which people it holds out."""

import collections
import dataclasses

import numpy as np

from stylegan2_tf.data.classes import ALL, LISTED, counted, find_labels
from stylegan2_tf.data.index import printable, spread
from stylegan2_tf.data.subjects import find_subjects, split_by_subject, subject_scheme
from stylegan2_tf.errors import UsageError

SPLITS = {"train", "test", "val", "validate", "validation"}  # folders that are no classes
OPTIONS = ("holdout", "seed", "subject_pattern", "max_images", "classes", "labels", "conditional")


def division_of(config):
    """What `divide` and `choose` take of a configuration's fields, a dict."""
    return {name: config[name] for name in OPTIONS if name in config}


def divide(packed, **options):
    """Part images into those to train on and those of people held out.

    Args:
        packed: `PackedImages`.
        **options: See `choose`.

    Returns:
        (`PackedImages` to train on, `PackedImages` held out or None, lines for the user). Both
        carry labels and the same classes where `classes`, `labels` or `conditional` is given.
    """
    found, kept, held, lines = _choose(packed.names, **options)
    if found is not None:
        labels = np.full(len(packed), -1, np.int64)  # what stays -1 is in neither part
        labels[found.kept] = found.labels
        packed = dataclasses.replace(packed, labels=labels, classes=found.classes)
    whole = found is None and len(kept) == len(packed)
    train = packed if whole else packed.part(kept)
    return train, None if held is None else packed.part(held), lines


def choose(names, **options):
    """Choose by name which images to train on and which to hold out.

    First the classes restrict the images, then subjects are held out, and of the rest so many
    are taken.

    Args:
        names: Relative paths of all images.
        holdout: Share of the subjects to hold out; 0, the default, for none.
        seed: Decides who is held out; 0 if not given.
        subject_pattern: Regular expression for the subject in a file name; None tries the
            built-in patterns. Where no subject is known, single images are held out.
        max_images: Train on at most so many, evenly spread over the sorted names.
        classes, labels: See `find_labels`.
        conditional: Whether the networks are told the class: there must be two at least.

    Returns:
        (indices to train on, indices held out or None, lines for the user).

    Raises:
        UsageError: `subject_pattern` or `classes` does not fit the names, a single image is
            held out, which no metric can compare with, or `conditional` lacks a class.
        DataError: There are not two subjects to part, or `labels` is no complete table.
    """
    return _choose(names, **options)[1:]


def _choose(names, *, holdout=0.0, seed=0, subject_pattern=None, max_images=None, classes=None,
            labels=None, conditional=False):
    """`Labels` or None, and what `choose` returns."""
    found, pool, held, lines = None, np.arange(len(names)), None, []
    classes = None if classes == ALL else classes
    if conditional or classes is not None or labels is not None:
        found = find_labels(names, classes=classes, labels=labels)
        pool = found.kept
        lines.append(_describe_classes(found, len(names)))
    kept = pool
    if holdout:
        kept, held, line = _hold_out([names[index] for index in pool], holdout, seed,
                                     subject_pattern)
        kept, held = pool[kept], pool[held]
        lines.append(line)
    if max_images is not None and max_images < len(kept):
        kept = kept[spread(max_images, len(kept))]
        lines.append(f"--max-images: {max_images:,} of {len(pool):,} images are trained on")
    if conditional:
        _check_classes(found, kept)
        _check_people(found, kept, names, subject_pattern)
    return found, kept, held, lines


def _hold_out(names, share, seed, pattern):
    """Indices kept, indices held out, and a line for the user."""
    kept, held = split_by_subject(names, share, seed=seed, pattern=pattern)
    if len(held) < 2:
        raise UsageError(f"--holdout: expected a share that holds out 2 images or more, found "
                         f"{share} of {len(names)} images; give a larger one, or 0")
    scheme, subjects = subject_scheme(names, pattern)
    if subjects is None:
        return kept, held, (f"held out       {len(held):,} of {len(names):,} images one by one: "
                            "the file names tell no subjects (--subject-pattern)")
    people = len({subjects[index] for index in held})
    return kept, held, (f"held out       {people:,} of {len(set(subjects)):,} subjects, "
                        f"{len(held):,} images; subjects by {scheme}")


def _describe_classes(found, total):
    counts = collections.Counter(found.classes[label] for label in found.labels)
    line, others = f"classes        {counted(counts)} images", total - len(found.kept)
    if SPLITS & {name.lower() for name in found.classes}:
        line += "; these look like parts of a data set: name the classes with --classes"
    return f"{line}; {others:,} of others are left out" if others else line


def _check_classes(found, kept):
    """Refuse to tell the networks a class that there is only one of, or that has no image."""
    if len(found.classes) < 2:
        raise UsageError(f"--conditional: expected two classes or more, found only "
                         f"{counted({found.classes[0]: len(found.kept)})} images; choose others "
                         "with --classes, give --labels FILE.csv, or leave --conditional out")
    numbers = found.labels[np.isin(found.kept, kept)]
    absent = set(range(len(found.classes))) - set(numbers.tolist())
    if absent:
        listed = counted({found.classes[label]: 0 for label in absent})
        raise UsageError(f"--conditional: expected images of each class to train on, found "
                         f"{listed} after --holdout and --max-images; hold out fewer, take more "
                         "images, or leave the class out with --classes")


def _check_people(found, kept, names, pattern):
    """Refuse a class of one person, whom the generator would paint when told the class."""
    subjects = find_subjects([names[index] for index in kept], pattern)
    if subjects is None:
        return
    label_of = dict(zip(found.kept.tolist(), found.labels.tolist(), strict=True))
    people = collections.defaultdict(set)
    for index, subject in zip(kept.tolist(), subjects, strict=True):
        people[found.classes[label_of[index]]].add(subject)
    alone = {name: 1 for name, members in people.items() if len(members) == 1}
    if alone:
        raise UsageError("--conditional: expected several people in each class to train on, found "
                         f"one in {', '.join(map(printable, sorted(alone)[:LISTED]))}; the "
                         "generator would paint this person when told the class: join classes "
                         "with --labels FILE.csv, or choose others with --classes")
