"""kill -9 while models, GIF, plot and log are written: each file is whole, old or new."""

import functools

import pytest
import writers
from PIL import Image
from processes import kill_often

KILLS = 50  # of each kind

pytestmark = pytest.mark.slow


def test_kills_while_saving_models(nursery, figures, tmp_path):
    out = tmp_path / "out"
    for ledger in kill_often(nursery, writers.save_models, out, KILLS):
        pass  # the next one checks what this one left
    nursery.call(writers.check_models, out, ledger.path)
    figures("kill -9 while saving models",
            f"{KILLS} kills among {ledger.begun:,} saves: 0 destroyed")


@pytest.mark.parametrize("name, prepare, save, most", [
    ("training.gif", writers.draw_samples, writers.save_gif, 0.1),
    ("losses.png", writers.write_logs, writers.save_plot, 1.5)])
def test_kills_while_drawing(nursery, figures, tmp_path, name, prepare, save, most):
    out, sources = tmp_path / "out", tmp_path / "sources"
    nursery.call(prepare, sources)
    whole = []
    for variant in range(writers.VARIANTS):
        path = tmp_path / f"{variant}-{name}"
        nursery.call(save, sources, variant, path)
        with Image.open(path) as image:
            image.load()
        whole.append(path.read_bytes())
    assert len(set(whole)) == writers.VARIANTS
    writer = functools.partial(writers.save_variants, save, sources, name)
    for ledger in kill_often(nursery, writer, out, KILLS, most):
        found = (out / name).read_bytes() if (out / name).exists() else None
        allowed = [whole[number % writers.VARIANTS] if number else None
                   for number in (ledger.kept, ledger.begun)]
        assert found in allowed
    figures(f"kill -9 while writing {name}",
            f"{KILLS} kills among {ledger.begun:,} files: 0 destroyed")


def test_kills_while_logging(nursery, figures, tmp_path):
    out, rows = tmp_path / "out", 0
    for ledger in kill_often(nursery, writers.append_rows, out, KILLS):
        rows += writers.check_log(out / "log.csv", ledger.path)
    figures("kill -9 while writing log.csv", f"{KILLS} kills, {rows:,} rows: 0 lost, 0 torn")
