"""Work on many files in processes of their own, in order and in bounded memory.

Not by `multiprocessing`: each process of its kind runs the caller's script once more, which
trains once more where that lacks `if __name__ == "__main__"`. These know nothing of the script.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import pickle
import queue
import signal
import subprocess
import sys
import warnings

from stylegan2_tf.errors import StyleGANError, UsageError

PAYS_FROM = 500  # items; processes take half a second to start

_PROGRAM = ("import sys; sys.path[:] = {path!r}\n"
            "from stylegan2_tf.data.parallel import serve\nserve()")


def cores():
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # fewer than there are, in a container
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Crew:
    """Processes for any work on items; a context manager, at whose end they are gone.

    They start at the first work that is worth it, or at `start`.

    Args:
        workers: How many; None for one a core, 1 for none: all is then done by this process.

    Raises:
        UsageError: `workers` is not positive.
    """

    def __init__(self, workers=None):
        if workers is not None and not 1 <= workers <= 1024:
            raise UsageError(f"--workers: expected 1 to 1024, found {workers}")
        # A frozen program would start itself.
        alone = not sys.executable or getattr(sys, "frozen", False)
        self.workers = 1 if alone else workers or cores()
        self._processes, self._idle = [], queue.SimpleQueue()
        self._pool = concurrent.futures.ThreadPoolExecutor(self.workers)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self._processes:
            process.kill()
        self._pool.shutdown(cancel_futures=True)
        for process in self._processes:
            _end(process)

    def start(self, items, pays_from=None):
        """Start the processes if so many items are worth it, without waiting for them.

        Returns:
            Whether there are any.
        """
        if items < (pays_from or PAYS_FROM) or self.workers == 1:
            return False
        while len(self._processes) < min(self.workers, items):
            self._processes.append(_start())
            self._idle.put(self._processes[-1])
        return True

    def ordered(self, work, items, *, chunk=32, pays_from=None):
        """Yield `work(item)` for each item, in their order.

        Args:
            work: A function of a module, or a `functools.partial` of one: processes import it by
                its name. What it raises is raised here.
            items: A list; items and results can be pickled.
            chunk: Items sent at once. Some chunks of results for each process wait in memory.
            pays_from: Fewer items are done by this process; None for `PAYS_FROM`.

        Raises:
            StyleGANError: A process has ended, such as for want of memory.
        """
        if not self.start(len(items), pays_from):
            yield from map(work, items)
            return
        chunks = (items[start:start + chunk] for start in range(0, len(items), chunk))
        # Enough that none waits while this process writes; of volumes, few.
        ahead = self.workers + (2 if chunk == 1 else 2 * self.workers)
        waiting = collections.deque(self._pool.submit(_call, self._idle, work, part)
                                    for part in itertools.islice(chunks, ahead))
        while waiting:
            results = waiting.popleft().result()
            waiting.extend(self._pool.submit(_call, self._idle, work, part)
                           for part in itertools.islice(chunks, 1))
            yield from results


def serve():
    """Be a process of a `Crew`: answer on standard output until input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    warnings.simplefilter("ignore")  # of Pillow; what matters is refused or noted
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            work, items = pickle.load(sys.stdin.buffer)
            try:
                answer = [work(item) for item in items], None
            except Exception as error:
                answer = None, error
            pickle.dump(answer, replies, protocol=5)
            replies.flush()
    os._exit(0)  # the buffer may not be written any more, which Python would complain about


def _start():
    # A large pipe: with 64 kB, both sides would wake the other for every image.
    return subprocess.Popen([sys.executable, "-c", _PROGRAM.format(path=sys.path)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pipesize=2**20)


def _call(idle, work, items):
    process = idle.get()
    try:
        pickle.dump((work, items), process.stdin)
        process.stdin.flush()
        results, error = pickle.load(process.stdout)
    except (EOFError, OSError, ValueError, pickle.UnpicklingError) as end:
        raise StyleGANError("a process that decodes images has ended unexpectedly, perhaps for "
                            "want of memory; give fewer --workers, or free memory") from end
    finally:
        idle.put(process)
    if error is not None:
        raise error
    return results


def _end(process):
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            stream.close()
    process.wait()
