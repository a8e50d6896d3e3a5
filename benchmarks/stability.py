"""Train the cells of issue 4's tables, each for a fixed time, with the user's own command.

    STYLEGAN2_TF_DATA=... python -m benchmarks.stability [--group losses] [--out DIR]

Finished cells are skipped, and an interrupted cell goes on from its checkpoint: leave it in the
background over several sittings. `--tables` prints the tables of benchmarks/README.md from what
is finished.
"""

import argparse
import csv
import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import prepare

ROOT = Path(__file__).parents[1]
AT_32 = ["4", "64", "4", "16", "80", "--resolution", "32", "--batch", "32"]
AT_64 = ["4", "128", "4", "16", "80", "--resolution", "64", "--batch", "32"]
COMMON = ["--epochs", "100000", "--holdout", "0.1", "--val", "64"]
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
    "mapping of 8 layers": ["--mapping-layers", "8"],
    "one convolution": ["--convolutions", "1"],
}


def make_cells():
    """Every cell: name -> (group, minutes, arguments after DATA_DIR OUT)."""
    cells = {}
    for seed in range(3):
        for loss in ("cross-entropy", "wgan-gp", "relativistic"):
            cells[f"{loss}, seed {seed}"] = (
                "losses", 8, [*AT_32, "--loss", loss, "--seed", str(seed)])
    for seed in range(2):
        for piece, flags in PIECES.items():
            cells[f"{piece}, seed {seed}"] = (
                "ablation", 5, [*_merged(AT_32, flags), "--seed", str(seed)])
    cells["64 px, default"] = ("long", 30, AT_64)
    cells["64 px, plain"] = ("long", 30, [*AT_64, *PLAIN])
    for name, flags in (("augmented", []), ("not augmented", ["--augment", "none"])):
        cells[f"300 images, {name}"] = (
            "few-images", 8, [*AT_32, "--max-images", "300", *flags])
    return cells


def _merged(arguments, flags):
    """`--fade-in-base X` stands for the fifth size."""
    if flags[:1] == ["--fade-in-base"]:
        return [*arguments[:4], flags[1], *arguments[5:]]
    return [*arguments, *flags]


def train(data, folder, minutes, arguments):
    """Train until the run has taken `minutes` of its own time. Returns whether it got there."""
    command = [sys.executable, str(ROOT / "run.py"), data, str(folder), *arguments, *COMMON]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(printed_by(folder), "a") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=ROOT)
    try:
        while process.poll() is None and seconds_of(folder) < 60 * minutes:
            time.sleep(2)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()
    return seconds_of(folder) >= 60 * minutes


def printed_by(folder):
    """File of what the run prints."""
    return folder.with_name(f"{folder.name}.txt")


def seconds_of(folder):
    """Training time of the run so far, from the last row of its log."""
    rows = read_log(folder)
    return float(rows[-1]["seconds"]) if rows else 0.0


def read_log(folder):
    path = folder / "log.csv"
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["seconds"]]


def judge(data, folder, cache):
    """Distances of the finished run to held-out subjects, and what its log says."""
    from stylegan2_tf.data import divide, pack
    from stylegan2_tf.latent.sampling import draw, load, make_latents, to_uint8
    from stylegan2_tf.metrics.extractors import make_extractor
    from stylegan2_tf.metrics.feature_space import FeatureSpace
    from stylegan2_tf.metrics.sliced import SlicedWasserstein
    from stylegan2_tf.watchdog import diversity

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    packed = pack(data, cache, resolution=config["resolution"], channels=1)
    train_images, held, _ = divide(packed, holdout=config["holdout"], seed=config["seed"])
    real = held.array[:]
    other = train_images.array[:][::max(len(train_images) // len(real), 1)][:len(real)]
    loaded = load(folder)
    fake = to_uint8(draw(loaded.generator, make_latents(len(real), loaded.z_dim, seed=1)))
    found = {}
    for measure in (SlicedWasserstein(), FeatureSpace(make_extractor("random"),
                                                      ("kid", "coverage"))):
        described = measure.describe(real)
        for name, images in (("", fake), ("_floor", other)):
            values = measure.compare(described, measure.describe(images))
            found |= {key + name: values[key] for key in ("swd", "kid", "coverage")
                      if key in values}
    rows = read_log(folder)
    watched = [row for row in rows if row.get("watch/sign_real")]
    return {**found, "diversity": diversity(fake) / diversity(real),
            "kimg": int(rows[-1]["nimg"]) / 1000, "skipped": int(rows[-2]["skipped"] or 0),
            "sign_gap": statistics.median(
                float(row["watch/sign_real"]) - float(row["watch/sign_holdout"])
                for row in watched[-5:]) if watched else None}


def show_tables(results):
    for group in ("losses", "ablation", "long", "few-images"):
        rows = [row for row in results.values() if row["group"] == group]
        if rows:
            print(f"\n**{group}**\n\n| cell | kimg | SWD (floor) | KID x 1000 (floor) | coverage "
                  "(floor) | diversity | sign gap | skipped |\n|---|---|---|---|---|---|---|---|")
        for row in rows:
            gap = "" if row["sign_gap"] is None else f"{row['sign_gap']:.2f}"
            print(f"| {row['cell']} | {row['kimg']:.0f} | {row['swd']:.1f} ({row['swd_floor']:.1f})"
                  f" | {row['kid']:.2f} ({row['kid_floor']:.2f}) | {row['coverage']:.2f} "
                  f"({row['coverage_floor']:.2f}) | {row['diversity']:.2f} | {gap} | "
                  f"{row['skipped']} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", help="losses, ablation, long or few-images; default: all")
    parser.add_argument("--out", default="stability", help="folder of the runs and results")
    parser.add_argument("--tables", action="store_true", help="print the tables and train nothing")
    arguments = parser.parse_args()
    out = Path(arguments.out)
    results_file = out / "results.json"
    results = json.loads(results_file.read_text()) if results_file.exists() else {}
    if arguments.tables:
        return show_tables(results)
    source = prepare()
    from stylegan2_tf import files

    data = f"{source}/brain_slices"
    for name, (group, minutes, flags) in make_cells().items():
        if name in results or arguments.group not in (None, group):
            continue
        folder = out / group / name.replace(", ", "_").replace(" ", "-")
        if not train(data, folder, minutes, flags):
            print(f"{name}: stopped early, see {printed_by(folder)}", flush=True)
            continue
        results[name] = {"cell": name, "group": group, **judge(data, folder, out / "cache")}
        files.write_json(results_file, results)
        print(json.dumps(results[name]), flush=True)


if __name__ == "__main__":
    main()
