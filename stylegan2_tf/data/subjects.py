"""Who is on which image, by its file name: slices of one person are not independent.

A bootstrap over slices gives intervals that are too narrow, and a hold-out of single slices
holds nothing out: the next slice of the same person was trained on. So both go by subject.
"""

import collections
import hashlib
import re

import numpy as np

from stylegan2_tf.data.index import printable
from stylegan2_tf.errors import DataError, UsageError

_START = r"(?<![^\W_])"  # not inside a word or number; `R_IXI012` is fine

# What a user may read -> the subject in group 1. A session (MR1, ses-d0129) is no subject.
SCHEMES = {
    "BIDS, like sub-01": re.compile(_START + r"sub-([A-Za-z0-9]+)"),
    "OASIS-1 or 2, like OAS1_0001_MR1": re.compile(_START + r"(OAS[12]_[0-9]{4})(?![0-9])"),
    "OASIS-3 or 4, like OAS30001_MR_d0129": re.compile(_START + r"(OAS[34][0-9]{4})(?![0-9])"),
    "ADNI, like 002_S_0295": re.compile(_START + r"([0-9]{3}_S_[0-9]{4,5})(?![0-9])"),
    "OASIS, like case_049_slice_7": re.compile(_START + r"case_([0-9]+)_slice_[0-9]"),
    # 4 to 7 digits, or else `<class>_<index>` and `<date>_<index>` would be subjects.
    "ADNI, like 218391_78": re.compile(r"(?:^|/)([0-9]{4,7})_[0-9]{1,3}(?:\.[^/]*)?$"),
    "IXI, like IXI012-HH-1211": re.compile(_START + r"(IXI[0-9]{3})(?![0-9])"),
}


def subject_scheme(names, pattern=None):
    """The subject of each image, and what it is known by.

    That is the first of `SCHEMES` that matches every name and makes sense: at least two
    subjects, and fewer subjects than images.

    Args:
        names: Relative paths, as in `PackedImages.names`. `\\` counts as `/`.
        pattern: None, or a regular expression that is searched for in each path. Its only
            group, or its group named `subject`, is the subject. `(.+)` makes every image a
            subject of its own.

    Returns:
        (name of the scheme, list of subjects), or (None, None).

    Raises:
        UsageError: `pattern` is no such expression or misses a name.
    """
    names = [name.replace("\\", "/") for name in names]
    if pattern is not None:
        return f"--subject-pattern '{printable(pattern)}'", _captured(names, pattern)
    for scheme, expression in SCHEMES.items():
        matches = [expression.search(name) for name in names]
        if all(matches):
            subjects = [match[1] for match in matches]
            if 1 < len(set(subjects)) < len(names):
                return scheme, subjects
    return None, None


def find_subjects(names, pattern=None):
    """The subject of each image, or None if the names do not tell; see `subject_scheme`."""
    return subject_scheme(names, pattern)[1]


def split_by_subject(names, share, *, seed=0, pattern=None):
    """Hold out whole subjects; single images where `find_subjects` knows no subjects.

    Who is held out depends on `seed` and the subjects, not on the order of the names: a
    new subject changes the side of at most one other.

    Args:
        names, pattern: See `subject_scheme`.
        share: Of the subjects, between 0 and 1; rounded to at least one subject and at
            most all but one.
        seed: Another seed holds out others.

    Returns:
        (indices kept, indices held out), ascending integer arrays.

    Raises:
        UsageError: `share` is out of range, or `pattern` does not fit.
        DataError: All images show the same subject.
    """
    if not 0 < share < 1:
        raise UsageError(f"`share` must lie between 0 and 1. Received: share={share}")
    groups = find_subjects(names, pattern) or names
    order = shuffled(groups, seed)
    count = min(max(round(share * len(order)), 1), len(order) - 1)
    return _parts(groups, order[count:])


def halves(groups, *, seed=0):
    """Part images into two sets that share no group and are about equally large.

    The sizes differ by no more images than the largest group has.

    Args:
        groups: The group of each image: the subjects, or `range(N)` for N single images.
        seed: Another seed gives other halves.

    Returns:
        (indices of one half, indices of the other), ascending integer arrays.

    Raises:
        DataError: There are fewer than two groups.
    """
    sizes = collections.Counter(groups)
    chosen, balance = set(), 0
    for group in shuffled(groups, seed):
        if balance <= 0:
            chosen.add(group)
            balance += sizes[group]
        else:
            balance -= sizes[group]
    return _parts(groups, chosen)


def check_disjoint(names, holdout, pattern=None):
    """Refuse a hold-out folder that shows subjects of the training images.

    Both folders must follow one naming scheme. Without one nothing is compared: an equal
    file name is no evidence, for numbering starts anew in every folder (`train/0001.png`,
    `test/0001.png`).

    Args:
        names, holdout: Relative paths of the training images and of the others.
        pattern: See `subject_scheme`.

    Returns:
        Whether subjects were compared. If not, the caller says so.

    Raises:
        UsageError: Subjects are on both sides, or `pattern` does not fit.
    """
    subjects = find_subjects([*names, *holdout], pattern)
    if subjects is None:
        return False
    both = sorted(set(subjects[:len(names)]) & set(subjects[len(names):]))
    if both:
        listed = ", ".join(map(printable, both[:5]))
        if len(both) > 5:
            listed += f" and {len(both) - 5:,} more"
        raise UsageError(
            f"--holdout must show other subjects than the training images. On both sides:"
            f" {listed}. Move each subject to one side; if they only have the same names,"
            f" rename one side or set --subject-pattern."
        )
    return True


def _captured(names, pattern):
    """The subject that the user's `pattern` finds in each name."""
    flag, example = f"--subject-pattern '{printable(pattern)}'", r"for instance 'case_(\d+)_slice'"
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        reason = printable(str(error))
        message = f"{flag} is no regular expression: {reason}. Expected one, {example}."
        raise UsageError(message) from error
    group = "subject" if "subject" in expression.groupindex else 1
    if group == 1 and expression.groups != 1:
        raise UsageError(f"{flag} must have exactly one group, or one named (?P<subject>...),"
                         f" {example}. Received: {expression.groups} groups.")
    subjects = [(match := expression.search(name)) and match[group] for name in names]
    missed = [name for name, subject in zip(names, subjects, strict=True) if not subject]
    if missed:
        raise UsageError(f"{flag} finds no subject in {printable(missed[0])} ({len(missed):,} of"
                         f" {len(names):,} images). Widen it until it fits every path below the"
                         f" folder, or move those files out.")
    return subjects


def shuffled(groups, seed):
    """The distinct groups in an order that new groups do not change."""
    def key(group):  # a name may hold bytes that are not UTF-8, as lone surrogates
        return hashlib.sha256(f"{seed}:{group}".encode("utf-8", "surrogatepass")).digest()

    order = sorted(set(groups), key=key)
    if len(order) < 2:
        raise DataError(f"Two separate parts need images of at least 2 subjects."
                        f" Found {len(groups):,} images of {len(order)}.")
    return order


def _parts(groups, chosen):
    chosen = set(chosen)
    inside = np.array([group in chosen for group in groups])
    return np.flatnonzero(inside), np.flatnonzero(~inside)
