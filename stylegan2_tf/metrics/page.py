"""The words of a report: how numbers are written, and the page `report.html`.

The page needs nothing beside itself: pictures are `data:` URIs, the style is inline, there is
no script and no link. Every text from outside goes through `_text`.
"""

import base64
import html
import math

import numpy as np

from stylegan2_tf.data import printable
from stylegan2_tf.metrics.memorisation import ONE_IN, summary_lines

SHOWN = 16  # suspicious images that are shown
CLOSEST = 8  # where none is suspicious
QUANTILE = 1 / ONE_IN  # of the calibration, which is the threshold

# First part of a value's name without dashes -> how to read it.
HOW = {
    "swd": "Patches of 7x7 pixels from each level of a Laplacian pyramid are compared along random "
           "directions (Karras 2018, section 5, arXiv:1710.10196). A level far above its floor "
           "tells the size of detail that the generator gets wrong.",
    "msssim": "The similarity of random pairs within one set, where 1 means all alike (Odena 2017, "
              "arXiv:1610.09585). Above the floor, generated images vary less than real ones; "
              "below it they vary more, or are noisy.",
    "spectrum": "The power of each spatial frequency, averaged over all directions, is compared. "
                "Upsampling in generators leaves too much or too little of the highest "
                "frequencies (Durall 2020, arXiv:2003.01826).",
    "histogram": "How far grey values have to be moved to turn one distribution into the other "
                 "(earth mover's distance: Rubner 2000, doi:10.1023/A:1026543900054). It sees "
                 "brightness and contrast, and nothing of where a pixel lies.",
    "kid": "The maximum mean discrepancy of features under a cubic kernel, without bias: for equal "
           "sets it is near 0 and may be negative (Bińkowski 2018, arXiv:1801.01401). Values "
           "of different extractors cannot be compared.",
    "fid": "The Fréchet distance between normal distributions fitted to the features of both sets "
           "(Heusel 2017, arXiv:1706.08500). Few images bias it upwards: compare it with its floor "
           "and with values of equally many images and the same extractor only.",
    "precision": "The share of generated images that lie among the real ones in feature space "
                 "(Kynkäänniemi 2019, arXiv:1904.06991). Low precision means images that do not "
                 "look real.",
    "recall": "The share of real images that lie among the generated ones in feature space "
              "(Kynkäänniemi 2019, arXiv:1904.06991). Low recall means that kinds of real images "
              "are never generated.",
    "density": "How many real neighbourhoods a generated image lies in, relative to what is "
               "expected: 1 for equal sets, and more is possible (Naeem 2020, arXiv:2002.09797). "
               "It is precision that single outliers cannot raise.",
    "coverage": "The share of real images that have a generated one in their neighbourhood "
                "(Naeem 2020, arXiv:2002.09797). It is recall that outliers cannot raise.",
}

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #5c5c5c; --line: #d9d9d9;
        --paper: #fff; --warn: #fff4e5; --edge: #D55E00; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #a8a8a8; --line: #444; --paper: #16181b; --warn: #33261a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
p, dd { margin: .3rem 0 .6rem; } dt { font-weight: 600; break-after: avoid; }
.warnings { background: var(--warn); border-left: 4px solid var(--edge); padding: .6rem 1rem;
            margin: 1rem 0; } .warnings ul { margin: .2rem 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92em;
        font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
         border-bottom: 1px solid var(--line); }
th { border-bottom: 2px solid var(--soft); }
small { display: block; color: var(--soft); font-weight: normal; }
.about td { overflow-wrap: anywhere; }
.values td:nth-child(n+2), .about td:first-child { white-space: nowrap; }
.values th:first-child { width: 42%; }
thead { display: table-header-group; } tr { break-inside: avoid; }
img { max-width: 100%; height: auto; display: block; background: #fff; }
@page { size: A4; margin: 14mm; }
@media print { body { font-size: 9pt; max-width: none; margin: 0; padding: 0; }
  h2 { break-after: avoid; } img { max-height: 250mm; margin: auto; break-inside: avoid; } }
"""


def number(value):
    """`value` with three digits that count: "0.0123", "12,346", or "n/a" if it is not finite."""
    if not math.isfinite(value):
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def with_unit(text, unit):
    """`text` and the unit behind it, if there is one: "KID (x 1000)"."""
    return f"{text} ({unit})" if unit else text


def with_interval(value, interval):
    """`value` and its interval, where it has one: "1.2 [1.1, 1.4]"."""
    if interval is None:
        return number(value)
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def against_floor(value):
    """How a `results.Value` stands to its floor: "2.1 times", or a difference such as "-0.12".

    A ratio is given where lower is better and the floor is surely above 0.
    """
    lowest = value.floor_interval[0] if value.floor_interval else value.floor
    if value.better == "lower" and 0 < lowest < math.inf and math.isfinite(value.value):
        return f"{number(value.value / value.floor)} times"
    difference = number(value.value - value.floor)
    return difference if difference[0] in "-n" else f"+{difference}"


def train_name(evaluation, index):
    """The name of a training image; its number where the images have no names."""
    return evaluation.train_names[index] if evaluation.train_names else f"image {index}"


def closest(found):
    """Indices of the fakes of `results.Neighbours` to show: the suspicious, or the closest."""
    if len(found.suspicious):
        return found.suspicious[:SHOWN]
    return np.argsort(found.distance)[:CLOSEST]


def page(evaluation, pictures):
    """The report as one HTML page.

    Args:
        evaluation: `results.Evaluation`.
        pictures: Caption -> bytes of a PNG.

    Returns:
        The text of the page.
    """
    _, height, width, channels = evaluation.fakes.shape
    size = len(evaluation.reals)  # as many fakes were measured; copies are looked for among all
    compared = (f"{size:,} generated images were compared with {size:,} real ones of "
                f"{height}×{width} pixels and {channels} channel{'s' * (channels > 1)}; "
                f"{len(evaluation.fakes):,} were searched for copies of "
                f"{len(evaluation.train):,} training images. The pictures below show real images: "
                "share this page as carefully as the data.")
    figures = "".join(
        f'<h2>{_text(caption)}</h2>\n<img alt="{_text(caption)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">\n'
        for caption, png in pictures.items())
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation of generated images</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f"<h1>Evaluation of generated images</h1>\n{_paragraph(compared)}",
        _warnings(evaluation.warnings), _values(evaluation.values), _privacy(evaluation), figures,
        _how(evaluation.values), _provenance(evaluation.provenance), "</body>\n</html>\n"])


def _text(value):
    """`value` for HTML: one line, nothing in it is markup."""
    return html.escape(printable(str(value)))


def _paragraph(text):
    return f"<p>{_text(text)}</p>"


def _table(kind, head, rows):
    """A table of what `_cell` takes; `kind` is its class in the style."""
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{_cell(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return (f'<div class="wide"><table class="{kind}">\n<thead>{line(head, "th")}</thead>\n'
            f"<tbody>\n{body}\n</tbody>\n</table></div>")


def _cell(content):
    """A text, or several: the first with the others small below it."""
    if not isinstance(content, tuple):
        return _text(content)
    first, *others = map(_text, content)
    return first + "".join(f"<small>{other}</small>" for other in others if other)


def _warnings(warnings):
    if not warnings:
        return ""
    items = "".join(f"<li>{_text(warning)}</li>" for warning in warnings)
    return f'<div class="warnings"><strong>Before you read on</strong><ul>{items}</ul></div>'


def _values(values):
    rows = [((with_unit(value.label, value.unit), value.extractor, value.note),
             with_interval(value.value, value.interval),
             with_interval(value.floor, value.floor_interval), against_floor(value),
             {"near": "near the floor"}.get(value.better, value.better))
            for value in values.values()]
    head = (("Measure", "feature extractor, note"), "Generated", "Floor", "Against floor", "Better")
    floor = ("The floor is the same measure of other real images against the same reference: as "
             "good as it can get. In brackets: 95 % intervals.")
    return f"<h2>Values</h2>\n{_table('values', head, rows)}\n{_paragraph(floor)}"


def _privacy(evaluation):
    if not evaluation.neighbours:
        return ""
    parts = ["<h2>Privacy: does the generator copy training images?</h2>"]
    for found in evaluation.neighbours.values():
        parts += [_paragraph(f"{line[0].upper()}{line[1:]}.") for line in summary_lines(found)]
        rows = [(int(fake), train_name(evaluation, found.nearest[fake]),
                 number(found.distance[fake])) for fake in found.suspicious[:SHOWN]]
        if rows:
            head = ("Generated image", "Nearest training image", "Distance")
            parts.append(_table("pairs", head, rows))
        if len(found.suspicious) > SHOWN:
            parts.append(_paragraph(f"report.json lists all {len(found.suspicious):,}."))
    parts.append(_paragraph(
        "Look at the pairs below before you share images or the model: a small distance can be "
        "ordinary anatomy, and a copy that was moved or changed can escape any distance."))
    return "\n".join(parts)


def _how(values):
    """How to read each kind of value that the table holds."""
    kinds = {}
    for name, value in values.items():
        kind = "".join(filter(str.isalpha, name.split("/")[0])).lower()
        kind = {"frechet": "fid"}.get(kind, kind)
        kinds.setdefault(kind, value.label)
    entries = "\n".join(f"<dt>{_text(label)}</dt><dd>{_text(HOW[kind])}</dd>"
                        for kind, label in kinds.items() if kind in HOW)
    return f"<h2>How to read this</h2>\n<dl>\n{entries}\n</dl>" if entries else ""


def _provenance(provenance):
    rows = _table("about", ("What", "Value"), _flat(provenance))
    return f"<h2>Where this comes from</h2>\n{rows}" if provenance else ""


def _flat(content, path=""):
    """Pairs of a path such as "versions / numpy" and a text, from nested dicts."""
    for name, value in content.items():
        inner = f"{path} / {name}" if path else name
        if isinstance(value, dict):
            yield from _flat(value, inner)
        else:
            yield inner, ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
