"""Does a conditional model paint what it was told? README's figures on young and old brains.

    STYLEGAN2_TF_DATA=... python -m benchmarks.conditional [--out DIR] [--kimg 120]

A generator is told "young" or "old" for some people. A linear classifier learns the same from
these people, and is asked about real images of others and about generated ones; a second one
learns it from the others. Writes `swap.png`: the same latents as either class, and the difference.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks import prepare
from benchmarks.cells import AT_32, train

PENALTY = 30.0  # of the classifier: few people, many pixels
GENERATED = 512  # of each class
SHOWN = 8
FLAGS = ["--conditional", "--holdout", "0.4"]


def fit(images, labels):
    """A linear classifier of images averaged to 16x16. Returns a function: images -> scores."""
    from stylegan2_tf.latent.linear import LinearClassifier
    from stylegan2_tf.metrics.extractors import make_extractor

    extractor = make_extractor("pixels")
    classifier = LinearClassifier(extractor(images), labels == 1, PENALTY)
    return lambda images: classifier.scores(extractor(images))


def area_under_curve(scores, labels):
    """How often an image of class 1 has a higher score than one of class 0."""
    ones, zeros = scores[labels == 1], scores[labels == 0]
    return float((ones[:, None] > zeros[None]).mean() + (ones[:, None] == zeros[None]).mean() / 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="conditional", help="folder of the run and the picture")
    parser.add_argument("--kimg", type=float, default=120, help="length of the training")
    arguments = parser.parse_args()
    data = f"{prepare()}/brain_by_age"
    from stylegan2_tf.artifacts import save_grid
    from stylegan2_tf.data import divide, division_of, pack
    from stylegan2_tf.latent.sampling import draw, load, make_latents, to_uint8

    folder = Path(arguments.out) / "run"
    if not train(data, folder, arguments.kimg, [*AT_32, *FLAGS]):
        return print("the training stopped early; the same command goes on")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    packed = pack(data, Path(arguments.out) / "cache", resolution=32, channels=1)
    seen, others, lines = divide(packed, **division_of(config))
    print("\n".join(lines))
    loaded = load(folder)
    z = make_latents(GENERATED, loaded.z_dim, seed=1)
    pictures = [to_uint8(draw(loaded.generator, z, np.full(len(z), label))) for label in (0, 1)]
    for name, learned, asked in (("the generator's people", seen, others),
                                 ("other people", others, seen)):
        judge = fit(learned.array[:], learned.labels)
        scores = judge(np.concatenate(pictures))
        print(json.dumps({
            "classifier_of": name, "classes": loaded.classes,
            "real_auc": area_under_curve(judge(asked.array[:]), asked.labels),
            "generated_auc": area_under_curve(scores, np.repeat([0, 1], GENERATED)),
            "swapped_the_right_way": float((scores[GENERATED:] > scores[:GENERATED]).mean())}))
    first, second = (part[:SHOWN].astype(np.int16) for part in pictures)
    rows = np.concatenate([first, second, (second - first) // 2 + 128]).astype(np.uint8)
    save_grid(rows, Path(arguments.out) / "swap.png", columns=SHOWN)


if __name__ == "__main__":
    main()
