"""The smallest useful configuration, as keywords of `TrainConfig`."""

TINY = dict(data_dir="data", output_dir="out", g_input_res=4, g_init_filters=8, d_final_res=4,
            d_input_filters=4, fade_in_base=4.0, resolution=16, batch=4, latent=8, epochs=2, val=4,
            metrics="none")
