"""Signals that end a training: the first is remembered for the loop, a second acts at once."""

import contextlib
import signal
import sys

# SLURM sends SIGUSR1 some time before the limit of a job if asked (`--signal=USR1@180`), SIGTERM
# where another job takes the place; Ctrl-C is SIGINT.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextlib.contextmanager
def first_signal(act):
    """Inside, the first of `SIGNALS` only calls `act(number)`; the next one ends the process.

    Args:
        act: Called with the signal's number. It must not do more than remember it: what is being
            written just now would be cut.
    """
    def remember(number, frame):
        act(number)
        for either in SIGNALS:
            signal.signal(either, signal.SIG_DFL)
        print(f"{signal.Signals(number).name}: finishing this step, then saving; once more "
              "stops at once", file=sys.stderr)

    before = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
