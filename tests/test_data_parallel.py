"""Processes that know nothing of the caller's script."""

import functools
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stylegan2_tf.data import parallel
from stylegan2_tf.errors import DataError, StyleGANError, UsageError

double = functools.partial(operator.mul, 2)


def ordered(work, items, *, workers, chunk=32):
    with parallel.Crew(workers) as crew:
        yield from crew.ordered(work, items, chunk=chunk, pays_from=1)


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order(workers):
    assert list(ordered(double, list(range(100)), workers=workers, chunk=7)) == list(
        range(0, 200, 2))


def test_few_items_start_few_processes():
    assert list(ordered(double, [4], workers=8)) == [8]
    assert list(ordered(double, [], workers=2)) == []


def test_what_the_work_raises_is_raised_here():
    with pytest.raises(ValueError, match="invalid literal"):
        list(ordered(int, ["1", "x"], workers=2, chunk=1))
    with pytest.raises(DataError, match="7"):
        list(ordered(functools.partial(_raise, DataError), [7], workers=2))


def _raise(kind, item):  # importable: processes find it as test_data_parallel._raise
    raise kind(item)


def test_a_process_that_dies_is_one_line():
    with pytest.raises(StyleGANError, match="ended unexpectedly, perhaps for want of memory"):
        list(ordered(os._exit, [3, 3, 3], workers=2, chunk=1))


def test_a_stop_in_the_middle_leaves_no_process():
    before = children()
    results = ordered(time.sleep, [0.0] * 3 + [60.0] * 50, workers=2, chunk=1)
    next(results)
    assert children() > before
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 10
    assert children() <= before


def children():
    """Numbers of the processes that this one has started, and that are not yet waited for."""
    return {number for path in Path("/proc/self/task").glob("*/children")
            for number in path.read_text().split()}


def test_processes_end_with_a_killed_parent():
    code = ("from stylegan2_tf.data.parallel import Crew\nimport time\npids = Crew(2).ordered("
            "eval, ['__import__(\"os\").getpid()', '[0] * 9'], chunk=1, pays_from=1)\n"
            "print(next(pids), flush=True)\ntime.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                          text=True) as parent:
        child = Path(f"/proc/{int(parent.stdout.readline())}/stat")
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not child.exists() or child.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("the process has outlived its parent")


def test_a_script_without_a_guard_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from stylegan2_tf.data import parallel\nprint('begun')\n"
                      "with parallel.Crew(2) as crew:\n"
                      "    print(list(crew.ordered(abs, [-1, -2], chunk=1, pays_from=1)))\n")
    result = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("begun\n[1, 2]\n", "")


def test_what_a_library_prints_does_not_mix_with_the_answers():
    assert list(ordered(print, ["noise"], workers=2)) == [None]


def test_one_crew_does_several_works():
    with parallel.Crew(2) as crew:
        assert list(crew.ordered(abs, [-1, 2, -3], chunk=1, pays_from=1)) == [1, 2, 3]
        assert list(crew.ordered(double, [1, 2], chunk=1, pays_from=1)) == [2, 4]


def test_how_many(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 3)
    monkeypatch.setattr(parallel, "_start", lambda: pytest.fail("started"))
    for crew, items in ((parallel.Crew(), parallel.PAYS_FROM - 1), (parallel.Crew(1), 10**6)):
        assert not crew.start(items)
    monkeypatch.undo()
    with parallel.Crew(3) as crew:
        assert crew.workers == 3 and crew.start(2, 2) and len(crew._processes) == 2
    for wrong in (0, -1, 5000):
        with pytest.raises(UsageError, match="--workers: expected 1 to 1024"):
            parallel.Crew(wrong)
