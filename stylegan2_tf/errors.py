"""Every refusal this package makes, each with the exit code of the command line.

A message is one line: what was wrong (the argument or file), what was expected,
what was found and how to mend it.
"""


class StyleGANError(Exception):
    """Base of all errors that are explained to the user without a traceback."""

    exit_code = 70


class UsageError(StyleGANError):
    """A flag, an argument or a combination of them that cannot work (exit 2)."""

    exit_code = 2


class DataError(StyleGANError):
    """The images or the model file are missing, too few or unreadable (exit 65)."""

    exit_code = 65


class NumericalError(StyleGANError):
    """Training became non-finite and could not be brought back (exit 70)."""


class OutputError(StyleGANError):
    """A file or folder could not be written (exit 74)."""

    exit_code = 74


class LostWorkerError(StyleGANError):
    """Another worker of the training is gone; the same command may be given again (exit 75)."""

    exit_code = 75


class LockedError(StyleGANError):
    """Another run holds the folder (exit 75)."""

    exit_code = 75


def one_line(error):
    """The text of another library's error as one line of at most 200 characters.

    A longer one keeps both ends: TensorFlow names its node first and the reason last.
    """
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:100]} ... {text[-95:]}"
