"""`stylegan2-tf interpolate`: an animation from seed to seed and back, in a loop."""

from pathlib import Path

from stylegan2_tf.animation import check_kind, save_animation
from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.seeds import read_seeds


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", help="the .gif, .webp or .mp4 to write")
    parser.add_argument("--seeds", default="0,1,2", help="two or more key images, such as "
                        "1,7,42 (default: 0,1,2)")
    parser.add_argument("--frames", type=int, default=72, help="of the whole loop (default: 72)")
    parser.add_argument("--space", choices=("z", "w"), default="w", help="along the sphere in z, "
                        "or along lines in w, where equal steps change images more evenly "
                        "(default: w)")
    parser.add_argument("--ease", action="store_true", help="slow down at each key image")
    parser.add_argument("--milliseconds", type=int, default=80, help="a frame (default: 80)")
    shared.add_class(parser)
    shared.add_psi(parser)


def run(arguments):
    """Draw and write the animation. Returns the exit code."""
    seeds, out = read_seeds(arguments.seeds), Path(arguments.out)
    check_kind(out)
    shared.check_psi(arguments.truncation_psi)
    if len(seeds) < 2:
        raise UsageError(f"--seeds: expected two or more, found {arguments.seeds}")
    if not len(seeds) <= arguments.frames <= 10_000:
        raise UsageError(f"--frames: expected {len(seeds)}, one for each seed, to 10000, found "
                         f"{arguments.frames}")
    if not 20 <= arguments.milliseconds <= 10_000:
        raise UsageError("--milliseconds: expected 20, which viewers can show, to 10000, found "
                         f"{arguments.milliseconds}")
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    shared.make_folder(out.parent)
    frames = draw_loop(loaded, seeds, arguments.frames, arguments.space, arguments.ease,
                       arguments.truncation_psi, arguments.label)
    save_animation(frames, out, arguments.milliseconds)
    print(f"written {out}: {len(frames)} frames")
    return 0


def draw_loop(loaded, seeds, frames, space="w", ease=False, truncation_psi=1.0, label=None):
    """The frames, uint8 `[frames, H, W, C]`."""
    from stylegan2_tf.latent.sampling import latents_of
    from stylegan2_tf.latent.series import draw_with_bar
    from stylegan2_tf.latent.walks import lerp, loop, slerp

    if label is None and loaded.classes:
        label = loaded.classes[0]  # a class in turn would jump from frame to frame
    z = latents_of(seeds, loaded.z_dim)
    if space == "z":
        w = loaded.map(loop(z, frames, between=slerp, ease=ease), truncation_psi, label)
    else:
        w = loop(loaded.map(z, truncation_psi, label), frames, between=lerp, ease=ease)
    return draw_with_bar(loaded, w)
