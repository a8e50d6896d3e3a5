"""How fast `generate` draws and writes, and that its memory does not grow with the images.

    python -m benchmarks.generation MODEL --counts 500 5000

Each count is a process of its own, whose peak memory the operating system tells at its end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time


def generate(model, count, flags):
    """(Seconds, peak memory in MiB) of `generate` for `count` seeds."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "stylegan2_tf", "generate", model, out,
                   "--seeds", f"0-{count - 1}", *flags]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", help="run folder")
    parser.add_argument("--counts", type=int, nargs=2, default=[500, 5000], metavar="N",
                        help="images of the two runs (default: 500 5000)")
    arguments, flags = parser.parse_known_args()  # the others go to `generate`
    few, many = sorted(arguments.counts)
    (short, before), (long, after) = (generate(arguments.model, count, flags)
                                      for count in (few, many))
    print(json.dumps({
        "counts": [few, many], "flags": flags, "seconds": [round(short, 1), round(long, 1)],
        "images_per_second": round((many - few) / (long - short), 1),  # without the start
        "peak_mib": [round(before), round(after)],
        "grown_kib_per_image": round((after - before) * 1024 / (many - few), 2)}))


if __name__ == "__main__":
    main()
