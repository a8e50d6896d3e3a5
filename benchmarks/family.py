"""Train each architecture on real slices, all equally long: README's table of the family.

    STYLEGAN2_TF_DATA=... python -m benchmarks.family [--out DIR] [--tables]

At 32 pixels, with as many images as StyleGAN2 sees in ten minutes of a core of its own.
"""

from benchmarks.cells import AT_32, run

KIMG = 120

CELLS = {
    "stylegan2": [],
    "stylegan": ["--arch", "stylegan"],
    "stylegan, progressive": ["--arch", "stylegan", "--progressive", "--stage-kimg",
                              "15,25,40"],
    "dcgan": ["--arch", "dcgan"],
    "dcgan, wgan-gp": ["--arch", "dcgan", "--loss", "wgan-gp"],
}


if __name__ == "__main__":
    run(__doc__.splitlines()[0],
        {name: ("family", KIMG, [*AT_32, *flags]) for name, flags in CELLS.items()},
        "family")
