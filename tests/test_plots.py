import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from PIL import Image

from stylegan2_tf import plots
from stylegan2_tf.latent.separation import Separation

COLUMNS = ("d_loss", "g_loss", "r1", "pl_penalty", "score_real", "score_fake", "d_grad_norm",
           "g_grad_norm", "augment_p", "augment_sign", "eval/swd", "eval/kid", "watch/diversity")
PER_EPOCH = 5  # rows


def values(rows, **changes):
    """Columns of a plausible log of so many rows."""
    random = np.random.default_rng(0)
    table = {name: 1 + 0.1 * random.random(rows) for name in COLUMNS[:10]}
    measured = np.where(np.arange(rows) % PER_EPOCH == PER_EPOCH - 1, 2.0, np.nan)
    return {**table, **dict.fromkeys(COLUMNS[10:], measured), **changes}


def write(path, table, stages=None):
    rows = len(table["d_loss"])
    lines = [",".join(["step,nimg,epoch,stage", *table])]
    for i in range(rows):
        cells = [10 * (i + 1), 40 * (i + 1), (i + 1) / PER_EPOCH, stages[i] if stages else "",
                 *("" if np.isnan(column[i]) else column[i] for column in table.values())]
        lines.append(",".join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were to be written, in this order."""
    figures = []

    def keep(figure, path, **more):
        path.touch()
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


@pytest.fixture
def plot(tmp_path, drawn):
    """A function that plots a table and returns panels: title -> axes."""
    def save(table, stages=None):
        write(tmp_path / "log.csv", table, stages)
        plots.save_loss_plot(tmp_path / "log.csv", tmp_path / "losses.png")
        return panels(drawn[-1])
    return save


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def panels(figure):
    return {axis.get_title("left"): axis for axis in figure.axes if axis.axison}


def bold(axis):
    """Label -> (x, y) of the lines in the legend."""
    return {line.get_label(): line.get_data() for line in axis.get_lines()
            if not line.get_label().startswith("_")}


def thin(axis):
    return [line for line in axis.get_lines() if line.get_linewidth() == 0.6]


def test_the_plot_is_a_picture(tmp_path):
    write(tmp_path / "log.csv", values(20))
    plots.save_loss_plot(tmp_path / "log.csv", tmp_path / "losses.png")
    assert pixels(tmp_path / "losses.png").shape[1] == round(plots.WIDTH * plots.DPI)


def test_every_column_has_its_panel(plot):
    found = plot(values(20))
    assert list(found) == [
        "losses", "share of the losses", "penalties", "scores of D", "gradient norms",
        "augmentation", "swd (lower is better)", "kid (lower is better)",
        "diversity (real images: 1)"]
    assert list(bold(found["penalties"])) == ["R1", "path length"]
    assert len(thin(found["penalties"])) == 2


def test_panels_without_data_are_left_out(plot):
    nothing = np.full(20, np.nan)
    table = values(20, augment_p=np.zeros(20), augment_sign=np.zeros(20))
    table |= dict.fromkeys(["r1", "pl_penalty", *COLUMNS[10:]], nothing)
    assert list(plot(table)) == ["losses", "share of the losses", "scores of D", "gradient norms"]


def test_a_log_of_losses_alone_is_enough(plot):
    found = plot({"d_loss": np.ones(3), "g_loss": np.ones(3)})
    assert list(found) == ["losses", "share of the losses"]


def test_bold_lines_are_means_of_epochs_over_the_images_seen(plot):
    table = values(10, d_loss=np.arange(10.0) - 7, g_loss=np.full(10, 5.0))
    found = plot(table)
    x, y = bold(found["losses"])["D"]
    np.testing.assert_allclose(x, [0.12, 0.32])
    np.testing.assert_allclose(y, [-5, 0])
    (_, share), = bold(found["share of the losses"]).values()
    np.testing.assert_allclose(share, [0.5, 0], atol=1e-9)
    x, y = thin(found["losses"])[0].get_data()
    np.testing.assert_allclose(x, 0.04 * np.arange(1, 11))
    np.testing.assert_allclose(y, table["d_loss"])


def test_gaps_are_bridged(plot):
    r1 = values(20)["r1"]
    r1[::3] = np.nan
    found = plot(values(20, r1=r1))
    assert len(thin(found["penalties"])[0].get_xdata()) == 13


def test_zeros_and_divergence_are_plotted(tmp_path):
    table = values(20, r1=np.zeros(20), d_grad_norm=np.where(np.arange(20) % 2, 0, 1e30),
                   g_loss=np.geomspace(1, 1e38, 20), g_grad_norm=np.full(20, np.inf))
    write(tmp_path / "log.csv", table)
    plots.save_loss_plot(tmp_path / "log.csv", tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 10_000


def test_one_row_is_plotted(plot):
    found = plot(values(1))
    assert bold(found["losses"])["D"][1].shape == (1,)
    assert thin(found["losses"])[0].axes.get_lines()[1].get_marker() == "o"


def test_long_logs_are_thinned_within_a_band(plot, monkeypatch):
    monkeypatch.setattr(plots, "POINTS", 50)
    table = values(1000)
    axis = plot(table)["losses"]
    assert [len(line.get_xdata()) for line in thin(axis)] == [50, 50]
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(table["d_loss"].min())
    assert band.max() == pytest.approx(table["d_loss"].max())
    assert not plot(values(50))["losses"].collections


def test_rare_spikes_do_not_flatten_the_rest(plot):
    g_loss = values(400)["g_loss"]
    g_loss[200] = 1e6
    axis = plot(values(400, g_loss=g_loss))["losses"]
    assert axis.get_ylim()[1] < 2
    assert axis.get_title("right") == "spikes reach 1 and 1,000,000"
    assert plot(values(400))["losses"].get_title("right") == ""


def test_wide_ranges_are_logarithmic_and_plainly_numbered(plot):
    table = values(20, d_grad_norm=np.geomspace(0.01, 100, 20))
    axis = plot(table)["gradient norms"]
    assert axis.get_yscale() == "log"
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert "0.01" in labels and "100" in labels
    assert plot(values(20))["gradient norms"].get_yscale() == "linear"


def test_stages_are_marked_in_all_panels_and_named_above_the_first(plot):
    stages = ["4x4"] * 8 + ["8x8"] + ["16x16"] * 21
    found = plot(values(30), stages)
    for axis in found.values():
        marks = [line.get_xdata()[0] for line in axis.get_lines() if line.get_linestyle() == ":"]
        np.testing.assert_allclose(marks, [0, 0.32, 0.36])
    names = {note.get_text(): note.xy[0] for note in found["losses"].texts}
    assert names == {"4x4": 0, "16x16": 0.36}  # 8x8 has no room
    assert not found["penalties"].texts
    assert not plot(values(30))["losses"].texts
    numbered = plot(values(30), [4] * 15 + [8] * 15)["losses"].texts
    assert [note.get_text() for note in numbered] == ["4 px", "8 px"]


def test_d_and_g_have_the_same_colours_everywhere(plot):
    found = plot(values(20))
    for title in ("losses", "gradient norms"):
        colours = {line.get_label(): line.get_color() for line in found[title].get_lines()}
        assert (colours["D"], colours["G"]) == ("#0072B2", "#D55E00")
        assert [to_hex(line.get_color()).upper() for line in thin(found[title])] == [
            "#0072B2", "#D55E00"]


def test_legends_lie_beside_the_data(plot):
    found = plot(values(20))
    found["losses"].get_figure(root=True).draw_without_rendering()
    for title, axis in found.items():
        if title in plots.PANELS:
            assert axis.get_legend().get_window_extent().x0 >= axis.get_window_extent().x1 - 1


@pytest.mark.parametrize("text", ["", "step,ni", "step,nimg,epoch,d_loss\n10,4",
                                  "step,nimg,epoch,d_loss,augment_p\n10,40,1,nan,0\n"])
def test_a_log_without_numbers_leaves_the_old_plot(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    (tmp_path / "losses.png").write_text("old")
    plots.save_loss_plot(tmp_path / "log.csv", tmp_path / "losses.png")
    assert (tmp_path / "losses.png").read_text() == "old"


def test_users_style_is_neither_used_nor_changed(plot):
    from matplotlib import rcParams
    before = rcParams.copy()
    rcParams["axes.facecolor"] = "red"
    try:
        assert to_hex(plot(values(5))["losses"].get_facecolor()) == "#ffffff"
        assert rcParams["axes.facecolor"] == "red"
    finally:
        rcParams.update(before)


# -- styles


def test_styles_are_a_picture(tmp_path):
    plots.save_embedding([plots.Embedding("", np.eye(3, 2), ["a", "b", "a"])], tmp_path / "a.png")
    colours = {to_hex(pixel / 255) for pixel in np.unique(
        pixels(tmp_path / "a.png")[..., :3].reshape(-1, 3), axis=0)}
    assert {colour.lower() for colour in plots.CLASSES[:2]} <= colours  # of the legend


def test_classes_have_one_colour_in_all_panels(tmp_path, drawn):
    points = np.arange(40.0).reshape(20, 2)
    real, labels = np.arange(20) % 3 == 0, np.array(["old", "young"])[np.arange(20) // 10]
    one = plots.Embedding("one", points, labels, real)
    two = plots.Embedding("two", points, ["young"] * 20)
    plots.save_embedding([one, two], tmp_path / "styles.png", "Ages")
    left, right = panels(drawn[0]).values()
    dots, diamonds = left.collections
    old, young = (to_rgba(c)[:3] for c in plots.CLASSES[:2])
    for scatter, colours, kind in ((dots, dots.get_facecolor(), ~real),
                                   (diamonds, diamonds.get_edgecolor(), real)):
        shown = {tuple(point): tuple(colour[:3]) for point, colour in
                 zip(scatter.get_offsets(), colours, strict=True)}
        assert shown == {tuple(point): old if label == "old" else young
                         for point, label in zip(points[kind], labels[kind], strict=True)}
    assert {tuple(face[:3]) for face in right.collections[0].get_facecolor()} == {young}
    assert drawn[0].get_suptitle() == "Ages"
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        "old", "young", "generated", "real image, projected"]


def test_the_title_tells_the_separation_and_its_chance(tmp_path, drawn):
    found = Separation(score=0.91, chance=0.5, threshold=0.523, p_value=1 / 201, k=10)
    panel = plots.Embedding("$w$", np.eye(2), [0, 1], separation=found)
    plots.save_embedding([panel], tmp_path / "styles.png")
    axis = drawn[0].axes[0]
    assert axis.get_title("left") == "$w$"
    assert axis.texts[0].get_text() == (
        "of 10 neighbours, 91.0% are of the same class\n"
        "chance 50.0%, 95% below 52.3%, p = 0.00498")


def test_many_classes_have_different_colours(tmp_path, drawn):
    points = np.random.default_rng(0).normal(size=(40, 2))
    plots.save_embedding([plots.Embedding("", points, np.arange(40) % 20)], tmp_path / "a.png")
    assert len(np.unique(drawn[0].axes[0].collections[0].get_facecolor(), axis=0)) == 20
