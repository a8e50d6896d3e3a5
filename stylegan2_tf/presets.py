"""Presets: what one name sets, as plain dicts of fields."""

from stylegan2_tf.errors import UsageError

# The sizes and rates that system 001 recommends for a resolution.
RECOMMENDED = {
    256: dict(d_input_filters=32, fade_in_base=80.0, epochs=40, batch=64, lr=1e-4),
    128: dict(d_input_filters=64, fade_in_base=40.0, epochs=30, batch=64, lr=2e-4),
    64: dict(d_input_filters=128, fade_in_base=40.0, epochs=30, batch=128, lr=2e-4),
}


def preset_values(preset, resolution):
    """What `preset` sets at `resolution`, as a dict of fields."""
    if preset is None:
        return {}
    if preset == "recommended":
        if resolution not in RECOMMENDED:
            raise UsageError(f"--preset recommended: expected --resolution "
                             f"{', '.join(map(str, RECOMMENDED))}, found {resolution}; "
                             "give the five sizes instead")
        return dict(g_input_res=8, g_init_filters=512, d_final_res=8, **RECOMMENDED[resolution])
    if preset == "stylegan2":
        most = 16384 if resolution < 512 else 32768  # ADA: min(16384 / resolution, 512)
        return dict(g_input_res=4, g_init_filters=most // 4, d_final_res=4, max_filters=512,
                    d_input_filters=max(most // resolution, 1), fade_in_base=1e-6,
                    fade_per="step", latent=512, mapping_layers=8, batch=32, lr=0.0025,
                    lr_scale=1.0, beta=0.0, r1_gamma=0.0002 * resolution**2 / 32)  # ADA's rule
    raise UsageError(f"--preset: expected recommended or stylegan2, found {preset}")
