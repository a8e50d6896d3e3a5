"""Presets: what one name sets, as plain dicts of fields."""

from stylegan2_tf.errors import UsageError
from stylegan2_tf.sides import as_pair, as_text, doublings, shortest, smallest_base

# The sizes and rates that system 001 recommends for a resolution.
RECOMMENDED = {
    256: dict(d_input_filters=32, fade_in_base=80.0, epochs=40, batch=64, lr=1e-4),
    128: dict(d_input_filters=64, fade_in_base=40.0, epochs=30, batch=64, lr=2e-4),
    64: dict(d_input_filters=128, fade_in_base=40.0, epochs=30, batch=128, lr=2e-4),
}
# The same for its light network; at 32 pixels the row of 64, not wider there at full resolution.
SIMPLE = {**RECOMMENDED, 32: {**RECOMMENDED[64], "g_init_filters": 256}}
STYLES = ("style_mixing", "mapping_layers", "mapping_lr", "w_dim")  # DCGAN has none
PRESETS = ("recommended", "simple", "small-data", "stylegan2")


def preset_values(preset, resolution, arch=None):
    """What `preset` sets at `resolution`, a dict of fields; no styles for an `arch` without."""
    values = _values(preset, resolution)
    return values if arch != "dcgan" else {
        name: value for name, value in values.items() if name not in STYLES}


def _values(preset, resolution):
    if preset is None:
        return {}
    if preset == "recommended":
        return _row_of_001(preset, RECOMMENDED, resolution)
    if preset == "simple":  # 001 had no mapping: one layer is the least
        return dict(_row_of_001(preset, SIMPLE, resolution), convolutions=1, mapping_layers=1)
    base = smallest_base(resolution)
    times, longer = doublings(resolution, base), max(as_pair(resolution))
    start = dict(g_input_res=shortest(base), d_final_res=shortest(base))
    if preset == "small-data":  # ADA's regime; narrow, so that it suits few images and a CPU
        narrow = max(1024 // longer, 16)
        return dict(start, g_init_filters=narrow << times,
                    max_filters=128 if longer <= 64 else 256, d_input_filters=narrow,
                    fade_in_base=1e-6, fade_per="step", latent=128, batch=32,
                    epochs=100, lr=0.0025, lr_scale=1.0, beta=0.0)
    if preset == "stylegan2":
        height, width = as_pair(resolution)
        # ADA: min(16384 / resolution, 512)
        widest = max((16384 if longer < 512 else 32768) // longer, 1)
        return dict(start, g_init_filters=widest << times, max_filters=512,
                    d_input_filters=widest, fade_in_base=1e-6,
                    fade_per="step", latent=512, mapping_layers=8, batch=32, lr=0.0025,
                    lr_scale=1.0, beta=0.0, r1_gamma=0.0002 * height * width / 32,  # ADA's rule
                    pl_weight=2.0, style_mixing=0.9)
    raise UsageError(f"--preset: expected one of {', '.join(PRESETS)}, found {preset}")


def _row_of_001(preset, rows, resolution):
    if resolution not in rows:
        raise UsageError(f"--preset {preset}: expected --resolution "
                         f"{', '.join(map(str, rows))}, found {as_text(resolution)}; "
                         "give the five sizes instead")
    return {"g_input_res": 8, "g_init_filters": 512, "d_final_res": 8, **rows[resolution]}
