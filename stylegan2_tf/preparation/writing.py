"""`prepare`: read every item of a source once, in parallel, and write a set that is whole or not.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import contextlib
import dataclasses
import functools
import itertools
import json
import os
import shutil
from pathlib import Path

from tqdm import tqdm

from stylegan2_tf.data import parallel, printable
from stylegan2_tf.data.packed import locked
from stylegan2_tf.errors import OutputError, UsageError
from stylegan2_tf.files import sweep, write_json
from stylegan2_tf.preparation import settings as given
from stylegan2_tf.preparation.finishing import finish
from stylegan2_tf.preparation.identity import Pseudonyms, identify
from stylegan2_tf.preparation.journal import PIXELS, Journal
from stylegan2_tf.preparation.options import Options
from stylegan2_tf.preparation.prepared import ARRAY, UNFINISHED, read_about
from stylegan2_tf.preparation.reading import Target, read_item
from stylegan2_tf.preparation.resolving import find_target
from stylegan2_tf.preparation.sources import scan
from stylegan2_tf.volumes import SliceOptions

PLAN = "plan.json"
VOLUMES_PAY_FROM = 4  # each takes a process as long as hundreds of images
BYTES_AT_ONCE = 2**22  # of the images that a process sends at once


def prepare(source, out, options=None, *, keyfile=None, workers=None, progress=True):
    """Make a prepared set, or go on where an earlier call was stopped.

    The result does not depend on `workers` or on interruptions. Memory holds some images for each
    worker and a few hundred bytes for every image.

    Args:
        source: Path of a folder of images or volumes, a `.zip` of them, a volume, or a prepared
            set (to give it another size).
        out: Folder to write; new, or one that this very call was begun in.
        options: `Options`; None for the defaults.
        keyfile: File with the key of pseudonyms (made if missing); None keeps the names.
        workers: Processes; None for one a core. Small sources are read by this process alone.
        progress: Show bars, if standard error is a terminal.

    Returns:
        Dict of relative path -> reason, of what could not be read in this call.

    Raises:
        UsageError: An argument does not fit, `out` holds other things, or a split puts one image
            on two sides.
        DataError: There is nothing that can be read.
        OutputError: `out` can't be written.
    """
    options, out = options or Options(), Path(out)
    crew = parallel.Crew(workers)
    given.check_places(source, out, keyfile)
    pseudonyms = given.pseudonyms_of(keyfile)
    settings = given.settings_of(source, options, pseudonyms)
    if _is_done(out, settings):
        return {}
    _check_free(out)
    with locked(out), _explained(out), crew:
        if _is_done(out, settings):  # by another process, while this one waited
            return {}
        partial = out / UNFINISHED
        plan = _read_plan(partial)
        if plan is not None:
            given.check_same(out, plan["settings"], settings, given.LATER)
        partial.mkdir(exist_ok=True)
        sweep(partial)
        found = scan(source, partial / "volumes", options.include)
        crew.start(len(found.items))  # while this process finds names
        items, identities = identify(found.items, options)
        if plan is None:
            target = find_target(items, options, crew, progress)
            write_json(partial / PLAN, {"settings": settings,
                                        "target": dataclasses.asdict(target)})
        else:
            target = _as_target(plan["target"])
        private = pseudonyms or Pseudonyms(given.read_key(partial / "key"))
        fingerprint = _gather(out, partial, items, target, private, crew, progress)
        skipped = finish(out, items, identities, target, options, pseudonyms, settings,
                         fingerprint, found.refused)
        shutil.rmtree(partial, ignore_errors=True)
    return skipped


def _is_done(out, settings):
    """Whether the set is whole already. Raises `UsageError` if it is another."""
    about = read_about(out)
    if about is None:
        return False
    given.check_same(out, about.get("settings"), settings)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)  # a kill may have left some of it
    return True


def _check_free(out):
    """Refuse a folder with other things in it."""
    others = [path.name for path in out.iterdir() if path.name[0] != "."] if out.exists() else []
    if others and not (out / UNFINISHED / PLAN).is_file():
        raise UsageError(f"OUT: expected a new or empty folder, found {printable(out)} with "
                         f"{printable(min(others))} in it")


def _read_plan(partial):
    """What an earlier call has planned, or None: then nothing of it is left either."""
    try:
        plan = json.loads((partial / PLAN).read_text(encoding="utf-8"))
        _as_target(plan["target"]), plan["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(partial, ignore_errors=True)
        return None
    # A kill between the last two steps has left the images already in their place.
    if (partial.parent / ARRAY).exists() and not (partial / PIXELS).exists():
        os.replace(partial.parent / ARRAY, partial / PIXELS)
    return plan


def _as_target(content):
    return Target(**{**content, "resolution": tuple(content["resolution"]),
                     "slices": SliceOptions(**content["slices"])})


def _gather(out, partial, items, target, private, crew, progress):
    """Read what the journal lacks. Returns the fingerprint of the pixels where it is known."""
    journal = Journal(partial, target.shape, target.dtype, _count(items))
    with contextlib.closing(journal):
        if journal.done:
            print(f"going on after {journal.done:,} of {len(items):,} files")
        else:
            _check_space(out, items, target)
        bar = tqdm(total=len(items), initial=journal.done, desc="preparing", unit="file",
                   disable=None if progress else True)
        with bar, contextlib.closing(_results(items[journal.done:], target, crew)) as results:
            for pieces, reason in results:
                for _, known in pieces:
                    if known.get("patient"):
                        known["patient"] = private("subject", known["patient"])
                journal.add(pieces, reason)
                bar.update()
        journal.save()
    return journal.fingerprint


def _count(items):
    """How many images there will be; None where volumes are among them."""
    return None if any(item.kind == "volume" for item in items) else len(items)


def _results(items, target, crew):
    """What `read_item` makes of each item: images first, many at once, then volumes one by one."""
    work = functools.partial(read_item, target)
    size = target.dtype.itemsize * target.shape[0] * target.shape[1] * target.shape[2]
    for kind, group in itertools.groupby(items, lambda item: item.kind == "volume"):
        group, least = list(group), VOLUMES_PAY_FROM if kind else None
        chunk = 1 if kind else max(min(BYTES_AT_ONCE // size, 64), 1)
        yield from crew.ordered(work, group, chunk=chunk, pays_from=least)


def _check_space(out, items, target):
    needed = len(items) * target.dtype.itemsize * target.shape[0] * target.shape[1] * (
        target.channels)
    free = shutil.disk_usage(out).free
    if free < needed:
        raise OutputError(f"Cannot write to {printable(out)}: at least {needed:,} bytes are "
                          f"needed, {free:,} are free; free some, or give another OUT")


@contextlib.contextmanager
def _explained(out):
    """Turn a full or failing disk into one line; a damaged image never gets here."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"Cannot write to {printable(out)}: {error.strerror or error}; the same "
                          "command goes on where it stopped once that is mended") from error
