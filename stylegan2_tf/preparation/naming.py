"""The names, subjects and sessions of a prepared set, open or as pseudonyms."""

import re
from typing import NamedTuple

from stylegan2_tf.preparation.identity import ENDINGS, distinct_labels, file_names, folder_of


class Named(NamedTuple):
    """For each item; an image's name ends in its slice where the item is a volume.

    Attributes:
        names: In the prepared set.
        sources: What the manifest tells of the file.
        subjects, sessions, labels: None where they are not known.
        groups: Equal for items that must not be parted.
        notices: Sentences for the user.
    """

    names: list
    sources: list
    subjects: list
    sessions: list
    labels: list
    groups: list
    notices: list


def name_items(items, identities, patients, pseudonyms, read=None):
    """Name every item.

    Args:
        items: List of `sources.Item`.
        identities: `Identity` of each.
        patients: Pseudonym of the patient that its file names, or None; for each.
        pseudonyms: `Pseudonyms` that take the place of all names; None keeps them.
        read: Indices of the items that could be read, which notices count; None for all.

    Returns:
        `Named`.
    """
    read = range(len(items)) if read is None else read
    subjects, notices = _subjects(items, identities, patients, pseudonyms, read)
    sessions = [_session(identity, item, pseudonyms)
                for identity, item in zip(identities, items, strict=True)]
    labels = [identity.label for identity in identities]
    folders = [folder_of(*parts) for parts in zip(labels, subjects, sessions, strict=True)]
    if pseudonyms:
        sources = [pseudonyms("file", item.name, 16) for item in items]
        names = [folder + source for folder, source in zip(folders, sources, strict=True)]
    else:
        sources = [item.row["source"] if item.row else item.name for item in items]
        names = [item.name if item.row else folder + file for item, folder, file in
                 zip(items, folders, file_names(items, folders), strict=True)]
    groups = [f"sub-{subject}" if subject else f"/{item.name}"
              for item, subject in zip(items, subjects, strict=True)]
    return Named(names, sources, subjects, sessions, labels, groups, notices)


def _subjects(items, identities, patients, pseudonyms, read):
    """The subject of each item as it stands in names, and sentences."""
    known, notices, alone = [], [], 0
    for index, (item, identity, patient) in enumerate(
            zip(items, identities, patients, strict=True)):
        if identity.subject is not None or patient is not None or item.kind != "volume":
            known.append(identity.subject)
        else:  # the slices of one volume are those of one person in any case
            known.append(ENDINGS.sub("", item.name))
            alone += index in read
    if alone:
        notices.append(f"the subject of {alone:,} volumes is not known: each counts as one of its "
                       "own (--subject-pattern)")
    if pseudonyms:
        return [subject and pseudonyms("subject", subject) or patient
                for subject, patient in zip(known, patients, strict=True)], notices
    # The id in a file is private: people that only it tells apart are numbered.
    numbers = {}
    plain = distinct_labels(filter(None, known))
    return [plain[subject] if subject else
            f"dicom{numbers.setdefault(patient, len(numbers) + 1):04}" if patient else None
            for subject, patient in zip(known, patients, strict=True)], notices


def _session(identity, item, pseudonyms):
    session = item.row["session"] or None if item.row else identity.session
    if session and pseudonyms:
        return pseudonyms("session", f"{identity.subject}\0{session}", 8)
    return session and re.sub(r"[^A-Za-z0-9]", "", session)
