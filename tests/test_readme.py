"""README's table of flags comes from the configuration: `python tests/test_readme.py` renews it."""

import dataclasses
import re
from pathlib import Path

from stylegan2_tf.config import TrainConfig, make_config
from stylegan2_tf.options import flag

README = Path(__file__).parent.parent / "README.md"
HEADER = "| flag | default | unit | meaning |\n|---|---|---|---|\n"
DRY_RUN = ("| `--dry-run` | off | | print sizes, parameters, memory and the time to expect, "
           "and write nothing |\n")


def flag_table():
    """Every flag of `run.py` with default, unit and meaning, as a Markdown table."""
    rows = []
    for field in dataclasses.fields(TrainConfig):
        meta = field.metadata
        if meta["group"] == "positional":
            continue
        default = ("" if field.default is None else "off" if field.default is False
                   else field.default)
        spelling = ("-n`, `" if field.name == "neptune" else "") + flag(field.name)
        choices = f" ({', '.join(map(str, meta['choices']))})" if meta["choices"] else ""
        rows.append(f"| `{spelling}` | {default} | {meta['unit']} | {meta['help']}{choices} |\n")
    return HEADER + "".join(rows) + DRY_RUN


def test_readme_holds_the_table_of_flags():
    assert flag_table() in README.read_text(encoding="utf-8"), (
        "README's table of flags is out of date: run python tests/test_readme.py")


def test_readme_counts_the_parameters_of_the_users_command():
    from stylegan2_tf.trainer import make_networks

    sizes = dict(g_input_res=8, g_init_filters=512, d_final_res=8, d_input_filters=32,
                 fade_in_base=80.0, resolution=256)
    generator, _, discriminator = make_networks(
        make_config(dict(data_dir="data", output_dir="out", **sizes)))
    row = (f"| `8 512 8 32 80 --resolution 256` | {generator.count_params():,} | "
           f"{discriminator.count_params():,} |")
    assert row in README.read_text(encoding="utf-8")


def test_readme_pictures_exist():
    text = README.read_text(encoding="utf-8")
    paths = re.findall(r'<img src="([^"]+)"', text)
    assert len(paths) >= 3
    for path in paths:
        assert (README.parent / path).is_file(), path


def test_readme_commands_are_those_of_the_makefile():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    values = dict(re.findall(r"^(DEMO_\w+) := (.*)$", makefile, re.MULTILINE))
    command = f"run.py demo/data demo/out {values['DEMO_SIZES']} {values['DEMO_FLAGS']}"
    assert command in " ".join(README.read_text(encoding="utf-8").split())
    for target in ("demo", "test"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


if __name__ == "__main__":
    old = README.read_text(encoding="utf-8")
    start = re.search(r"FLAG_TABLE\n|" + re.escape(HEADER) + r"(\|.*\n)*", old)
    README.write_text(old[:start.start()] + flag_table() + old[start.end():], encoding="utf-8")
