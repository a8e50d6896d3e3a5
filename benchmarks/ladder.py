"""Put every metric on a ladder of image sets that are ever further from the reference.

    STYLEGAN2_TF_DATA=... python -m benchmarks.ladder

The reference is half of the people in brain_slices below 60. Prints the table that README shows.
"""

import tempfile

import numpy as np
from scipy import ndimage

from benchmarks import prepare

RESOLUTION, IMAGES = 64, 512
BLUR = 0.5  # standard deviation in pixels


def make_rungs(source, cache):
    """Reference, and the rungs from near to far: name -> images `[N, H, W, 1]`, uint8."""
    from stylegan2_tf.data import find_subjects, halves, pack

    def read(folder):
        return pack(f"{source}/{folder}", cache, resolution=RESOLUTION, channels=1)

    def some(images, chosen=None):
        chosen = np.arange(len(images)) if chosen is None else chosen
        return images[np.sort(np.random.default_rng(0).permutation(chosen)[:IMAGES])]

    slices, old = read("brain_slices"), read("brain_by_age/old")
    elderly = set(find_subjects(old.names))  # they are in brain_slices, too
    subjects = np.array(find_subjects(slices.names))
    younger = np.flatnonzero(~np.isin(subjects, list(elderly)))
    first, second = halves(list(subjects[younger]))
    others = some(slices.array, younger[second])
    return some(slices.array, younger[first]), {
        "other people": others,
        "only people over 60": some(old.array),
        "other people, blurred": ndimage.gaussian_filter(others, (0, BLUR, BLUR, 0)),
        "pixel-art tiles": some(read("tiles32").array),
    }


def main():
    source = prepare()
    from stylegan2_tf.metrics.evaluation import make_measures
    from stylegan2_tf.metrics.extractors import make_extractor

    with tempfile.TemporaryDirectory() as cache:
        reference, rungs = make_rungs(source, cache)
    print("| metric | " + " | ".join(rungs) + " |\n|---|" + "---|" * len(rungs))
    for features in ("random", "pixels"):
        for measure in make_measures(make_extractor(features), seed=0):
            if features == "pixels" and measure.extractor is None:
                continue
            described = measure.describe(reference)
            found = [measure.compare(described, measure.describe(images))
                     for images in rungs.values()]
            for name, scale in measure.scales().items():
                of = f" ({features})" if measure.extractor else ""
                print(f"| {name}{of}, {scale.better} | "
                      + " | ".join(f"{values[name]:.4g}" for values in found) + " |", flush=True)


if __name__ == "__main__":
    main()
