"""What every campaign uses: processes to kill, and the table of figures at the end."""

import contextlib

import pytest
from processes import Nursery

# TensorFlow's sums are the same in every run only if the number of threads is.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
LONGEST = ("test_kill_training.py", "test_flip_bits.py")  # the second waits behind the first


def pytest_collection_modifyitems(items):
    """Put the longest campaign first, so that two workers end at about the same time."""
    names = list(LONGEST)
    items.sort(key=lambda item: names.index(item.path.name) if item.path.name in names
               else len(names))


@pytest.fixture(scope="session")
def nursery():
    """A `Nursery`, with TensorFlow imported once for all tests of a worker."""
    with pytest.MonkeyPatch.context() as environment:
        for name in THREADS:
            environment.setenv(name, "1")
        nursery = Nursery()
    with contextlib.closing(nursery):
        yield nursery


@pytest.fixture
def figures(request, record_property):
    """A function that puts a row into the table: `figures("bit flips", "500, 0 wrong")`."""
    def figure(campaign, found):
        if request.node.get_closest_marker("slow"):  # others are too short to tell anything
            record_property("figure", (campaign, found))

    return figure


def pytest_terminal_summary(terminalreporter):
    """Print the rows, of this process or of the workers of pytest-xdist."""
    reports = (report for outcome in ("passed", "failed")
               for report in terminalreporter.getreports(outcome) if report.when == "call")
    rows = sorted((*row, report.nodeid.rpartition("/")[2], report.duration)
                  for report in reports
                  for name, row in report.user_properties if name == "figure")
    if rows:
        terminalreporter.section("figures")
        terminalreporter.write_line("| campaign | figure | test | seconds |")
        terminalreporter.write_line("|---|---|---|---|")
        for campaign, figure, test, seconds in rows:
            terminalreporter.write_line(f"| {campaign} | {figure} | `{test}` | {seconds:.0f} |")
