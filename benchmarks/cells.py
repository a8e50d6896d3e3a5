"""Trainings of equal length with the user's own command, one a cell of a table.

Finished cells are skipped, an interrupted one goes on from its checkpoint, and one that another
process is training is left to it: on two cores, two processes of one thread each (`taskset -c 0`
and `-c 1` before the command) train more in an hour than one of two.
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
# What a training sees in a second of one core of this project's machine. Cells are as long as so
# many minutes of a core of their own, counted in images: other work on the machine changes nothing.
AT_32_PER_SECOND = {"cross-entropy": 200, "relativistic": 176, "wgan-gp": 144}
AT_64_PER_SECOND = 48
SHOWN = 32  # images in the grid of a run
LAST = 3  # measurements during training whose median is the end of it


def train(data, folder, kimg, arguments):
    """Train until the run has seen so many images. Returns if it got there."""
    command = [sys.executable, str(ROOT / "run.py"), data, str(folder), *COMMON, *arguments]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(printed_by(folder), "a") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=ROOT)
    try:
        while process.poll() is None and done(folder) < kimg:
            time.sleep(2)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()
    return done(folder) >= kimg


def printed_by(folder):
    """File of what the run prints."""
    return folder.with_name(f"{folder.name}.txt")


def done(folder):
    """Thousands of images that the run has seen, from the last row of its log."""
    rows = read_log(folder)
    return float(rows[-1]["nimg"]) / 1000 if rows else 0.0


def read_log(folder):
    path = folder / "log.csv"
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["seconds"]]


def judge(data, folder, cache):
    """Distances of the finished run to held-out subjects, and what its log says.

    Leaves a grid of the images beside the folder.
    """
    from stylegan2_tf.artifacts import save_grid
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
    save_grid(fake[:SHOWN], folder.with_name(f"{folder.name}.png"), columns=8)
    found = {}
    for measure in (SlicedWasserstein(), FeatureSpace(make_extractor("random"),
                                                      ("kid", "coverage"))):
        described = measure.describe(real)
        for name, images in (("", fake), ("_floor", other)):
            values = measure.compare(described, measure.describe(images))
            found |= {key + name: values[key] for key in ("swd", "kid", "coverage")
                      if key in values}
    return {**found, "diversity": diversity(fake) / diversity(real), **read_end(folder)}


def read_end(folder):
    """What the log of a finished run says about its end."""
    rows = read_log(folder)
    watched = [row for row in rows if row.get("watch/sign_real")]
    gaps = [float(row["watch/sign_real"]) - float(row["watch/sign_holdout"]) for row in watched]
    return {"kimg": int(rows[-1]["nimg"]) / 1000, "skipped": int(rows[-2]["skipped"] or 0),
            "swd_last": statistics.median(float(row["eval/swd"]) for row in watched[-LAST:]),
            "sign_gap": statistics.median(gaps[-5:])}


def show_tables(results, groups):
    columns = ("cell", "kimg", "SWD (floor)", "SWD, last three", "KID x 1000 (floor)",
               "coverage (floor)", "diversity", "sign gap", "skipped")
    for group in groups:
        rows = [row for row in results if row["group"] == group]
        if rows:
            print(f"\n**{group}**\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        for row in rows:
            cells = (row["cell"], f"{row['kimg']:.0f}",
                     f"{row['swd']:.1f} ({row['swd_floor']:.1f})",
                     f"{row['swd_last']:.1f}", f"{row['kid']:.2f} ({row['kid_floor']:.2f})",
                     f"{row['coverage']:.2f} ({row['coverage_floor']:.2f})",
                     f"{row['diversity']:.2f}", f"{row['sign_gap']:.2f}", str(row["skipped"]))
            print(f"| {' | '.join(cells)} |")


def run(description, cells, default_out):
    """The command line of a campaign.

    Args:
        description: What it is.
        cells: name -> (group, kimg, arguments after DATA_DIR OUT).
        default_out: Folder of the runs and results, where none is given.
    """
    groups = sorted({group for group, *_ in cells.values()})
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--group", choices=groups, help="default: all")
    parser.add_argument("--out", default=default_out, help="folder of the runs and results")
    parser.add_argument("--tables", action="store_true", help="print the tables and train nothing")
    arguments = parser.parse_args()
    out = Path(arguments.out)
    if arguments.tables:
        return show_tables(list(finished(out, cells)), groups)
    source = prepare()
    from stylegan2_tf import files

    data = f"{source}/brain_slices"
    for name, (group, kimg, flags) in cells.items():
        folder = folder_of(out, group, name)
        if result_of(folder).exists() or arguments.group not in (None, group):
            continue
        if not train(data, folder, kimg, flags):
            print(f"{name}: stopped early, see {printed_by(folder)}", flush=True)
            continue
        result = {"cell": name, "group": group, **judge(data, folder, out / "cache")}
        files.write_json(result_of(folder), result)
        print(json.dumps(result), flush=True)


def folder_of(out, group, name):
    """Run folder of a cell."""
    return out / group / name.replace(", ", "_").replace(" ", "-")


def result_of(folder):
    """File of what was measured of a finished run."""
    return folder.with_name(f"{folder.name}.json")


def finished(out, cells):
    """The results of all finished cells, in their order."""
    for name, (group, *_) in cells.items():
        path = result_of(folder_of(out, group, name))
        if path.exists():
            yield json.loads(path.read_text(encoding="utf-8"))
