"""What the pictures of an epoch cost, and what of it a training waits for.

    python -m benchmarks.pictures [--side 256] [--epochs 200]

36 images of demo data, a GIF of all epochs. `first` is the epoch after a start, which reads the
grids of all epochs before it; `later` the one after it.
"""

import argparse
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=256, help="pixels of an image")
    parser.add_argument("--epochs", type=int, default=200, help="before those that are timed")
    arguments = parser.parse_args()
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow()
    from stylegan2_tf import artifacts
    from stylegan2_tf.album import Album
    from stylegan2_tf.demo import load_template, make_subject

    slices = make_subject(load_template(), 0, arguments.side, seed=0)[:, :, :, None]
    images = np.concatenate([slices, slices[:4]])
    album = object.__new__(Album)  # only its writing: drawing takes as long as 36 images do
    with tempfile.TemporaryDirectory() as folder:
        album.run = mock.Mock(samples=Path(folder), path=Path(folder))
        album._reals, album._plotted = images, time.monotonic()
        for epoch in range(1, arguments.epochs + 1):
            artifacts.save_grid(np.roll(images, epoch, axis=0),
                                artifacts.sample_path(folder, epoch))
        for name, epoch in (("first", arguments.epochs + 1), ("later", arguments.epochs + 2)):
            started = time.perf_counter()
            album.write(epoch, images, images, None)
            print(f"{name}: {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
