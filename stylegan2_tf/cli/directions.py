"""`stylegan2-tf directions`: what w can change, as strips of images and as `.npz`."""

from pathlib import Path

from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.seeds import read_seeds

SAMPLES = 10_000  # latents that the components and classifiers are found from


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", nargs="?", default="directions",
                        help="folder of the files (default: directions)")
    parser.add_argument("--count", type=int, default=8, help="of each kind (default: 8)")
    parser.add_argument("--seeds", default="0-1", help="images that are moved (default: 0-1)")
    parser.add_argument("--strength", type=float, default=3.0, help="ends of the strips, in "
                        "standard deviations of w (default: 3)")
    parser.add_argument("--steps", type=int, default=7, help="images in a strip (default: 7)")
    parser.add_argument("--classes", action="store_true", help="also the direction between each "
                        "two classes, with its accuracy on held-out latents")
    shared.add_class(parser)
    shared.add_psi(parser)


def run(arguments):
    """Find, write and draw the directions. Returns the exit code."""
    seeds, out = read_seeds(arguments.seeds), Path(arguments.out)
    shared.check_psi(arguments.truncation_psi)
    if arguments.count < 1 or not 2 <= arguments.steps <= 31 or len(seeds) > 16:
        raise UsageError("--count, --steps, --seeds: expected 1 or more, 2 to 31, and at most 16, "
                         f"found {arguments.count}, {arguments.steps} and {len(seeds)}")
    if not 0 < arguments.strength <= 100:
        raise UsageError(f"--strength: expected above 0, at most 100, found {arguments.strength}")
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    if arguments.classes and len(loaded.classes) < 2:
        raise UsageError("--classes: expected a model trained with --conditional, found one "
                         "without classes; leave it out")
    from stylegan2_tf.data import printable

    shared.make_folder(out)
    for found in _find(loaded, arguments.count, arguments.classes):
        found.save(out / f"{found.kind}.npz")
        _draw(loaded, found, seeds, arguments, out / f"{found.kind}.png")
        print(f"{found.kind}: directions {len(found.vectors)} in {out / found.kind}.npz, a row "
              f"for each and seed in {found.kind}.png")
        if found.kind == "classes":
            for name, score in zip(found.names, found.scores, strict=True):
                print(f"  {printable(name)}: {score:.0%} of held-out latents on the right side")
    return 0


def _find(loaded, count, classes):
    import numpy as np
    from keras import ops

    from stylegan2_tf.latent import directions
    from stylegan2_tf.latent.sampling import make_latents

    z = make_latents(SAMPLES, loaded.z_dim, seed=0)
    labels = np.arange(SAMPLES) % max(len(loaded.classes), 1)
    w = loaded.map(z)
    kernels = [ops.convert_to_numpy(affine.runtime_kernel)
               for affine in loaded.generator.synthesis.affines()]
    yield directions.semantic_directions(kernels, w, count)
    yield directions.principal_directions(w, count)
    if classes:
        yield directions.class_directions(w, labels, loaded.classes)


def _draw(loaded, found, seeds, arguments, path):
    """A row for each direction and seed, strength from the least to the most."""
    import numpy as np

    from stylegan2_tf.artifacts import save_grid
    from stylegan2_tf.latent.sampling import latents_of
    from stylegan2_tf.latent.series import draw_with_bar

    w = loaded.map(latents_of(seeds, loaded.z_dim), arguments.truncation_psi, arguments.label)
    strengths = np.linspace(-arguments.strength, arguments.strength, arguments.steps)
    rows = [w[seed] + strengths.astype(np.float32)[:, None] * step
            for step in found.vectors * found.unit[:, None] for seed in range(len(seeds))]
    save_grid(draw_with_bar(loaded, np.concatenate(rows)), path, columns=arguments.steps)
