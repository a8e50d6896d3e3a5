"""Processes that a test may kill, and numbers that tell what they had done by then."""

import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver

import numpy as np

PATIENCE = 900  # seconds until a process must have come to its point
PRELOADED = ["stylegan2_tf.trainer", "stylegan2_tf.cli.train"]


class Nursery:
    """Starts processes by fork from one that has imported TensorFlow and run nothing in it.

    Importing takes seconds; and a process in which TensorFlow has run must not be forked.
    """

    def __init__(self):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()  # with the environment of now
        self._pool = ProcessPoolExecutor(1, self._context)  # starts when it is first called

    def start(self, log, function, *arguments):
        """A process that calls `function` and appends what it prints to `log`."""
        process = self._context.Process(target=_logged, args=(log, function, arguments))
        process.start()
        return process

    def call(self, function, *arguments):
        """What `function` returns, in a process that is kept for such calls."""
        return self._pool.submit(function, *arguments).result()

    def close(self):
        self._pool.shutdown()


def _logged(log, function, arguments):
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (sys.stdout, sys.stderr):
        os.dup2(descriptor, standard.fileno())
    sys.exit(function(*arguments))


def _number(place):
    return property(lambda ledger: int(ledger._numbers[place]),
                    lambda ledger, value: ledger._numbers.__setitem__(place, value))


class Ledger:
    """Two counters and a flag in shared memory: a kill loses nothing of them.

    Attributes:
        kept: The last piece of work that its writer has finished.
        begun: The last that it has begun.
        writing: Whether the writer has come so far as to write.
    """

    def __init__(self, path):
        self.path = path
        self._numbers = np.memmap(path, np.int64, "r+" if path.exists() else "w+", shape=3)

    kept, begun, writing = map(_number, range(3))


def wait_for(condition, process, log):
    """Wait until `condition()` is true while `process` lives."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.exitcode is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"exit code {process.exitcode}: {tail(log)}")
        time.sleep(0.002)


def kill(process, log):
    """Kill a process that would not have ended by itself."""
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"ended by itself: {tail(log)}"


def tail(log):
    return log.read_text(errors="replace")[-3000:]


def kill_often(nursery, writer, out, times, most=0.25, seed=0):
    """Start `writer(out, ledger)` again and again, and kill it at random while it writes.

    Args:
        nursery: The `Nursery`.
        writer: Goes on for ever. It checks what the one before left, and raises the flag
            `writing` of its ledger.
        out: A folder, beside which the ledger and what the writers print will lie.
        times: How many kills.
        most: Seconds from the flag to the kill, at most.
        seed: Decides the seconds.

    Yields:
        The `Ledger`, after each kill.
    """
    ledger, log = Ledger(out.parent / "ledger"), out.parent / "writer.log"
    for delay in np.random.default_rng(seed).uniform(0, most, times):
        ledger.writing = 0
        process = nursery.start(log, writer, out, ledger.path)
        wait_for(lambda: ledger.writing, process, log)
        time.sleep(delay)
        kill(process, log)
        yield ledger
