"""What a check finds: one line for the user."""

import dataclasses

from stylegan2_tf.errors import StyleGANError, one_line


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `level` is "ok", "bad" or "note"."""

    level: str
    what: str
    detail: str


def look(what, check, *arguments):
    """The finding of `check(*arguments)`, which says what is right or raises what is wrong."""
    try:
        return Finding("ok", str(what), check(*arguments))
    except StyleGANError as error:  # one line already
        return Finding("bad", str(what), str(error))
    except Exception as error:  # Pillow, Keras and HDF5 raise many kinds
        return Finding("bad", str(what), one_line(error) or type(error).__name__)


def look_at_each(what, paths, run, check):
    """A finding on each of `paths` in the folder `run` that is bad, and one on all others."""
    found = [look(path.relative_to(run), check, path) for path in paths]
    bad = [finding for finding in found if finding.level == "bad"]
    yield from bad
    if len(found) > len(bad):
        yield Finding("ok", what, f"{len(found) - len(bad):,} of {len(found):,} read to the end")
