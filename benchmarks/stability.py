"""Train the cells of issue 4's tables, all of a table equally long, with the user's own command.

    STYLEGAN2_TF_DATA=... python -m benchmarks.stability [--group losses] [--out DIR]

Finished cells are skipped, and an interrupted cell goes on from its checkpoint: leave it in the
background over several sittings. A cell is as long as 5, 8 or 30 minutes of a core of its own;
the ablation, made first, as 5 minutes of both (84 kimg). `--tables` prints the tables of
benchmarks/README.md from what is finished.
"""

import itertools

from benchmarks.cells import AT_32, AT_32_PER_SECOND, AT_64, AT_64_PER_SECOND, run

PLAIN = ["--ema-kimg", "0", "--r1-gamma", "0", "--augment", "none"]

# What the ablation takes away from the default, or adds to it.
PIECES = {
    "default": [],
    "no average (EMA)": ["--ema-kimg", "0"],
    "no R1": ["--r1-gamma", "0"],
    "no augmentation": ["--augment", "none"],
    "beta 0": ["--beta", "0"],
    "style mixing 0.9": ["--style-mixing", "0.9"],
    "path length 2": ["--pl-weight", "2"],
    "no fade-in": ["--fade-in-base", "0.001"],
    "mapping of 8 layers": ["--mapping-layers", "8"],  # the default since this table
    "one convolution": ["--convolutions", "1"],
}


def make_cells():
    """Every cell: name -> (group, kimg, arguments after DATA_DIR OUT)."""
    cells = {}
    for seed in range(3):
        for loss, rate in AT_32_PER_SECOND.items():
            cells[f"{loss}, seed {seed}"] = (
                "losses", 8 * 0.06 * rate, [*AT_32, "--loss", loss, "--seed", str(seed)])
    for seed in range(2):
        for piece, flags in PIECES.items():
            cells[f"{piece}, seed {seed}"] = (
                "ablation", 84,
                [*_merged([*AT_32, "--mapping-layers", "2"], flags), "--seed", str(seed)])
    half_an_hour = 30 * 0.06 * AT_64_PER_SECOND  # both make as many images in a second
    cells["64 px, default"] = ("long", half_an_hour, AT_64)
    cells["64 px, plain"] = ("long", half_an_hour, [*AT_64, *PLAIN])
    for precision, seed in itertools.product(("float32", "bfloat16"), range(2)):
        cells[f"64 px, {precision}, seed {seed}"] = (
            "precision", half_an_hour, [*AT_64, "--precision", precision, "--seed", str(seed)])
    for name, flags in (("augmented", []), ("not augmented", ["--augment", "none"])):
        cells[f"300 images, {name}"] = (
            "few-images", 96, [*AT_32, "--max-images", "300", *flags])
    return cells


def _merged(arguments, flags):
    """`--fade-in-base X` stands for the fifth size."""
    if flags[:1] == ["--fade-in-base"]:
        return [*arguments[:4], flags[1], *arguments[5:]]
    return [*arguments, *flags]


if __name__ == "__main__":
    run(__doc__.splitlines()[0], make_cells(), "stability")
