"""Train the cells of issue 4's tables, all of a table equally long, with the user's own command.

    STYLEGAN2_TF_DATA=... python -m benchmarks.stability [--group losses] [--out DIR]

Finished cells are skipped, and an interrupted cell goes on from its checkpoint: leave it in the
background over several sittings. At 32 pixels a cell has as many images as the default sees in
5 or 8 minutes of two idle cores (281 images/s), so that other work on the machine does not
matter; at 64 pixels it has 30 minutes, alone. `--tables` prints the tables of
benchmarks/README.md from what is finished.
"""

from benchmarks.cells import AT_32, AT_64, EIGHT_MINUTES, FIVE_MINUTES, run

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
    """Every cell: name -> (group, (unit, length), arguments after DATA_DIR OUT)."""
    cells = {}
    for seed in range(3):
        for loss in ("cross-entropy", "wgan-gp", "relativistic"):
            cells[f"{loss}, seed {seed}"] = (
                "losses", EIGHT_MINUTES, [*AT_32, "--loss", loss, "--seed", str(seed)])
    for seed in range(2):
        for piece, flags in PIECES.items():
            cells[f"{piece}, seed {seed}"] = (
                "ablation", FIVE_MINUTES,
                [*_merged([*AT_32, "--mapping-layers", "2"], flags), "--seed", str(seed)])
    cells["64 px, default"] = ("long", ("minutes", 30), AT_64)
    cells["64 px, plain"] = ("long", ("minutes", 30), [*AT_64, *PLAIN])
    for name, flags in (("augmented", []), ("not augmented", ["--augment", "none"])):
        cells[f"300 images, {name}"] = (
            "few-images", EIGHT_MINUTES, [*AT_32, "--max-images", "300", *flags])
    return cells


def _merged(arguments, flags):
    """`--fade-in-base X` stands for the fifth size."""
    if flags[:1] == ["--fade-in-base"]:
        return [*arguments[:4], flags[1], *arguments[5:]]
    return [*arguments, *flags]


if __name__ == "__main__":
    run(__doc__.splitlines()[0], make_cells(), "stability")
