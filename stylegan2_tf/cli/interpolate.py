"""`stylegan2-tf interpolate`: an animation from seed to seed and back, in a loop."""

from pathlib import Path

from stylegan2_tf.animation import check_kind, save_animation
from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.seeds import labels_of, read_seeds
from stylegan2_tf.latent.walks import SPACES


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", help="the .gif, .webp or .mp4 to write; .mp4 "
                        "repeats the last row or column of odd sides, which must be even there")
    parser.add_argument("--seeds", default="0,1,2", help="two or more key images, such as "
                        "1,7,42 (default: 0,1,2)")
    parser.add_argument("--frames", type=int, default=72, help="of the whole loop (default: 72)")
    parser.add_argument("--space", choices=tuple(SPACES), default="w", help="along the sphere in "
                        "z, where all keys must be of one class, or along lines in w, where equal "
                        "steps change images more evenly (default: w)")
    parser.add_argument("--ease", action="store_true", help="slow down at each key image")
    parser.add_argument("--milliseconds", type=int, default=80, help="a frame (default: 80)")
    shared.add_class(parser)
    shared.add_psi(parser)


def run(arguments):
    """Draw and write the animation. Returns the exit code."""
    seeds, out = read_seeds(arguments.seeds), Path(arguments.out)
    check_kind(out)
    shared.check_out(out)
    shared.check_psi(arguments.truncation_psi)
    _check_seeds(seeds, arguments)
    shared.check_range("milliseconds", arguments.milliseconds, 20, 10_000)  # viewers show no less
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    if arguments.space == "z":
        _one_class(loaded, seeds, arguments.label)
    shared.make_folder(out.parent)
    frames = draw_loop(loaded, seeds, arguments.frames, arguments.space, arguments.ease,
                       arguments.truncation_psi, arguments.label)
    save_animation(frames, out, arguments.milliseconds)
    print(f"written {out}: {len(frames)} frames")
    return 0


def draw_loop(loaded, seeds, frames, space="w", ease=False, truncation_psi=1.0, label=None):
    """The frames of a way through the images of `seeds` and back, uint8 `[frames, H, W, C]`.

    Args:
        loaded: A `LoadedGenerator`.
        seeds: Of the key images, each of its own class (see `labels_of`).
        frames: How many there are of the whole loop.
        space: "w", where classes may change on the way, or "z".
        ease: Whether to slow down at each key image.
        truncation_psi: 1 for the full variety.
        label: Name of a class for all.

    Raises:
        ValueError: There is no such space.
        UsageError: Seeds are of several classes, and the way leads through z.
    """
    import numpy as np

    from stylegan2_tf.latent.sampling import latents_of
    from stylegan2_tf.latent.series import draw_with_bar, styles_of
    from stylegan2_tf.latent.walks import loop

    if space not in SPACES:
        raise ValueError(f"Argument `space` must be one of {', '.join(SPACES)}. "
                         f"Received: space={space}")
    if space == "z":
        label = _one_class(loaded, seeds, label)
        z = loop(latents_of(seeds, loaded.z_dim), frames, between=SPACES[space], ease=ease)
        w = loaded.map(z, truncation_psi, label)
    else:
        w = loop(styles_of(loaded, seeds, label, truncation_psi), frames, between=SPACES[space],
                 ease=ease)
    return np.stack(list(draw_with_bar(loaded, w)))


def _check_seeds(seeds, arguments):
    if len(seeds) < 2:
        raise UsageError(f"--seeds: expected two or more, found {arguments.seeds}")
    if any(seed == after for seed, after in zip(seeds, [*seeds[1:], seeds[0]], strict=True)):
        raise UsageError("--seeds: expected no seed twice in a row, which would be a still picture "
                         f"(the first follows the last), found {arguments.seeds}")
    if not len(seeds) <= arguments.frames <= 10_000:
        raise UsageError(f"--frames: expected {len(seeds)}, one for each seed, to 10000, found "
                         f"{arguments.frames}")


def _one_class(loaded, seeds, label):
    """The class of all `seeds`; None if the model has none. A class has no way through z."""
    from stylegan2_tf.data import printable

    if label is not None or not loaded.classes:
        return label
    found = sorted(set(labels_of(seeds, len(loaded.classes)).tolist()))
    if len(found) > 1:
        names = ", ".join(printable(loaded.classes[number]) for number in found)
        raise UsageError("--space z: expected seeds of one class, for it can't change along the "
                         f"way, found {names}; give --class, or --space w")
    return loaded.classes[found[0]]
