"""How fast `prepare` is by one process and by all, what memory it takes, and how soon one trains.

    python -m benchmarks.preparation --images 10000
    python -m benchmarks.preparation --images 100000 --side 64

Makes so many PNG files of random fields, each shifted otherwise, in a temporary folder. The seconds
of the processors tell what a machine that does other things, too, would do alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SOURCES = 64  # different images; the others are shifts of them
PREPARE = """
import json, resource, sys, time
from stylegan2_tf.preparation import prepare
started = time.perf_counter()
prepare(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]), progress=False)
seconds = time.perf_counter() - started
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([seconds, sum(one.ru_utime + one.ru_stime for one in used),
                  *(one.ru_maxrss / 1024 for one in used)]))
"""
OPEN = """
import json, resource, sys, time
import tensorflow
from stylegan2_tf.data import batches
from stylegan2_tf.preparation import open_images
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
started = time.perf_counter()
side = int(sys.argv[2])
packed = open_images(sys.argv[1], sys.argv[1] + "-cache", resolution=side, channels=1)
stream = batches(packed, batch=16, seed=0)
next(stream)
first = time.perf_counter() - started
started = time.perf_counter()
for _ in range(500):
    next(stream)
rate = 500 * 16 / (time.perf_counter() - started)
stream.close()
print(json.dumps([first, rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before]))
"""


def make_images(folder, count, side):
    """Write `count` grey PNG files of smooth fields with grain, 32 a subject."""
    rng, fields = np.random.default_rng(0), []
    for _ in range(SOURCES):
        coarse = Image.fromarray(rng.random((8, 8), np.float32)).resize((side, side), 3)
        field = np.asarray(coarse) * 200 + rng.normal(0, 4, (side, side))
        fields.append(field.clip(0, 255).astype(np.uint8))
    folder.mkdir()
    for number in range(count):
        shifted = np.roll(fields[number % SOURCES], number // SOURCES, axis=1)
        path = folder / f"case_{number // 32:05}_slice_{number % 32}.nii.png"
        Image.fromarray(shifted).save(path, compress_level=1)


def run(code, *arguments):
    """What a process of its own prints as JSON."""
    result = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True,
                            stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--open", action="store_true", help="time the first batch, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="preparation-") as place:
        place, started = Path(place), time.perf_counter()
        make_images(place / "images", given.images, given.side)
        print(f"made {given.images:,} images of {given.side} px in "
              f"{time.perf_counter() - started:.0f} s")
        fastest = {}
        for turn in range(given.repeat):
            for workers in (1, given.workers):
                out = place / f"set-{workers}-{turn}"
                seconds, busy, own, child = run(PREPARE, place / "images", out, workers)
                fastest[workers] = min(fastest.get(workers, seconds), seconds)
                print(f"{workers} workers: {seconds:.1f} s ({busy:.1f} s of processors), "
                      f"{given.images / seconds:,.0f} images/s; peak {own:.0f} MB, and {child:.0f} "
                      "MB in the largest worker", flush=True)
        print(f"ratio {fastest[1] / fastest[given.workers]:.2f}")
        equal = {(place / f"set-{workers}-0" / "dataset.json").read_text()
                 for workers in fastest}
        print("same result" if len(equal) == 1 else "DIFFERENT RESULTS")
        if given.open:
            first, rate, memory = run(OPEN, place / "set-1-0", given.side)
            print(f"first batch {first:.2f} s after TensorFlow is up; then {rate:,.0f} images/s; "
                  f"{memory:.0f} MB more")


if __name__ == "__main__":
    main()
