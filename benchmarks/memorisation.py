"""Time the search for memorised images: how long and how much memory 10,000 x 10,000 take.

    python -m benchmarks.memorisation
"""

import argparse
import json
import resource
import statistics
import time

import numpy as np
from scipy import ndimage


def blobs(count, resolution, seed):
    """Smooth random shapes on black, uint8 `[count, resolution, resolution, 1]`."""
    rng = np.random.default_rng(seed)
    images = np.empty((count, resolution, resolution, 1), np.uint8)
    for image in images:
        noise = rng.standard_normal((resolution, resolution), np.float32)
        shape = ndimage.gaussian_filter(noise, resolution / 16, mode="constant")
        image[..., 0] = np.clip(80 * shape / shape.std(), 0, 255)
    return images


def peak_gigabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000, help="each side (default: 10000)")
    parser.add_argument("--resolution", type=int, default=64, help="in pixels (default: 64)")
    parser.add_argument("--repeat", type=int, default=3, help="runs (default: 3)")
    arguments = parser.parse_args()
    from stylegan2_tf.metrics.nearest import nearest_images

    queries, references = (blobs(arguments.images, arguments.resolution, seed) for seed in (0, 1))
    before, seconds = peak_gigabytes(), []
    for _ in range(arguments.repeat):
        started = time.perf_counter()
        nearest_images(queries, references, progress=True)
        seconds.append(round(time.perf_counter() - started, 1))
    print(json.dumps({**vars(arguments), "seconds": seconds, "median": statistics.median(seconds),
                      "input_gb": round((queries.nbytes + references.nbytes) / 1e9, 3),
                      "peak_gb_before": round(before, 2), "peak_gb": round(peak_gigabytes(), 2)}))


if __name__ == "__main__":
    main()
