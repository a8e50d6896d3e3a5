"""Does a conditional model paint what it was told? README's figures on young and old brains.

    STYLEGAN2_TF_DATA=... python -m benchmarks.conditional [--out DIR] [--kimg 120]

A generator is told "young" or "old" for some people. Small convolutional networks learn the same
from the other people, whom it never saw, and are asked about real images of the generator's people
and about generated ones; then the other way round. Writes `swap.png`: the same latents as either
class, and the difference.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks import prepare
from benchmarks.cells import AT_32, train

JUDGES = 3  # networks whose scores are added
EPOCHS = 30  # of their training
GENERATED = 512  # of each class
SHOWN = 8
FLAGS = ["--conditional", "--holdout", "0.4"]


def fit(images, labels):
    """Small classifiers of 32x32 images in `[-1, 1]`. Returns a function: images -> scores."""
    judges = [_make_judge(seed) for seed in range(JUDGES)]
    for seed, judge in enumerate(judges):
        judge.fit(images, labels, batch_size=32, epochs=EPOCHS, verbose=0)
    return lambda images: sum(judge.predict(images, verbose=0)[:, 0] for judge in judges)


def _make_judge(seed):
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    convolutions = (
        layer for width in (16, 32, 32) for layer in (
            layers.Conv2D(width, 3, padding="same", activation="relu"), layers.MaxPool2D()))
    judge = keras.Sequential([
        layers.RandomTranslation(0.06, 0.06, fill_mode="nearest"),
        layers.RandomRotation(0.02, fill_mode="nearest"),
        layers.RandomBrightness(0.1, value_range=(-1, 1)),
        layers.RandomContrast(0.15),
        *convolutions, layers.Flatten(), layers.Dropout(0.5),
        layers.Dense(32, activation="relu"), layers.Dropout(0.5), layers.Dense(1)])
    judge.compile(keras.optimizers.AdamW(1e-3, weight_decay=1e-2),
                  keras.losses.BinaryCrossentropy(from_logits=True))
    return judge


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
    from stylegan2_tf.metrics.images import signed

    folder = Path(arguments.out) / "run"
    if not train(data, folder, arguments.kimg, [*AT_32, *FLAGS]):
        return print("the training stopped early; the same command goes on")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    packed = pack(data, Path(arguments.out) / "cache", resolution=32, channels=1)
    seen, others, lines = divide(packed, **division_of(config))
    print("\n".join(lines))
    loaded = load(folder)
    z = make_latents(GENERATED, loaded.z_dim, seed=1)
    fakes = [draw(loaded.generator, z, np.full(len(z), label)) for label in (0, 1)]
    for name, learned, asked in (("other people", others, seen),
                                 ("the generator's people", seen, others)):
        judge = fit(signed(learned.array[:]), learned.labels)
        either = [judge(images) for images in fakes]
        print(json.dumps({
            "classifier_of": name, "classes": loaded.classes,
            "real_auc": area_under_curve(judge(signed(asked.array[:])), asked.labels),
            "generated_auc": area_under_curve(np.concatenate(either),
                                              np.repeat([0, 1], GENERATED)),
            "swapped_the_right_way": float((either[1] > either[0]).mean())}), flush=True)
    first, second = (to_uint8(images[:SHOWN]).astype(np.int16) for images in fakes)
    rows = np.concatenate([first, second, (second - first) // 2 + 128]).astype(np.uint8)
    save_grid(rows, Path(arguments.out) / "swap.png", columns=SHOWN)


if __name__ == "__main__":
    main()
