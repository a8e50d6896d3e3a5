import dataclasses
import json
import math

import pytest

from stylegan2_tf.config import TrainConfig, from_json, make_config
from stylegan2_tf.errors import UsageError

PATHS = dict(data_dir="data", output_dir="out")
SIZES = dict(g_input_res=8, g_init_filters=512, d_final_res=8, d_input_filters=32,
             fade_in_base=80.0)


def usual(**given):
    """The user's command `DATA OUT 8 512 8 32 80` with more flags."""
    return make_config({**PATHS, **SIZES, **given})


# -- the ladder of channels


def test_channels_of_the_users_command():
    config = usual(resolution=256)
    assert config.generator_filters == [512, 256, 128, 64, 32, 16]
    assert config.discriminator_filters == [32, 64, 128, 256, 512]


def test_channels_follow_where_each_network_starts_and_ends():
    config = usual(resolution=64, g_input_res=16, g_init_filters=48, d_final_res=4)
    assert config.generator_filters == [48, 24, 12]
    assert config.discriminator_filters == [32, 64, 128, 256]


def test_max_filters_bounds_both_networks():
    config = usual(resolution=64, max_filters=100)
    assert config.generator_filters == [100, 100, 100, 64]
    assert config.discriminator_filters == [32, 64, 100]


@pytest.mark.parametrize("given, starts, generator, discriminator", [
    (dict(resolution="240x256", g_input_res=15, d_final_res="30x32"), [(15, 16), (30, 32)],
     [512, 256, 128, 64, 32], [32, 64, 128]),
    (dict(resolution="256x240", g_input_res="16x15", d_final_res=15), [(16, 15)] * 2,
     [512, 256, 128, 64, 32], [32, 64, 128, 256]),
    (dict(resolution="64x128"), [(8, 16)] * 2, [512, 256, 128, 64], [32, 64, 128]),
    (dict(resolution=28, g_input_res=7, d_final_res=14), [(7, 7), (14, 14)], [512, 256, 128],
     [32])])
def test_sizes_that_are_no_squares_or_powers_of_two(given, starts, generator, discriminator):
    config = usual(**given)
    assert [config.first_sides, config.final_sides] == starts
    assert (config.generator_filters, config.discriminator_filters) == (generator, discriminator)


def test_a_square_is_kept_as_one_number():
    assert usual(resolution="64x64") == usual(resolution="64") == usual(resolution=64)
    assert usual(resolution="064x128", g_input_res="8x16").resolution == "64x128"
    assert usual().sides == (64, 64)


# -- defaults and presets


def test_defaults_are_those_of_system_001():
    config = usual()
    values = dict(resolution=64, channels=1, latent=100, batch=128, epochs=20, checkpoint=1,
                  lr=2e-4, beta=0.5, val=16, neptune=False)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize("resolution, filters, base, epochs, batch, lr", [
    (256, 32, 80, 40, 64, 1e-4), (128, 64, 40, 30, 64, 2e-4), (64, 128, 40, 30, 128, 2e-4)])
def test_recommended_rows(resolution, filters, base, epochs, batch, lr):
    config = make_config({**PATHS, "preset": "recommended", "resolution": resolution})
    assert (config.fade_in_base, config.epochs, config.batch, config.lr) == (
        base, epochs, batch, lr)
    assert (config.g_input_res, config.g_init_filters, config.d_final_res) == (8, 512, 8)
    assert config.d_input_filters == filters
    assert config.discriminator_filters[-1] == 512


def test_recommended_uses_the_default_resolution():
    assert make_config({**PATHS, "preset": "recommended"}).d_input_filters == 128


def test_recommended_refuses_other_resolutions():
    with pytest.raises(UsageError, match="--preset recommended: .*256, 128, 64, found 512"):
        make_config({**PATHS, "preset": "recommended", "resolution": 512})


@pytest.mark.parametrize("resolution, generator", [
    (64, [512, 512, 512, 512, 256]),
    (256, [512, 512, 512, 512, 256, 128, 64]),
    (1024, [512, 512, 512, 512, 512, 256, 128, 64, 32])])
def test_stylegan2_sizes(resolution, generator):
    config = make_config({**PATHS, "preset": "stylegan2", "resolution": resolution})
    assert config.generator_filters == generator
    assert config.discriminator_filters == generator[:0:-1]
    assert (config.adam_rate, config.beta, config.beta2) == (0.0025, 0.0, 0.99)
    assert (config.latent, config.w_units, config.mapping_layers) == (512, 512, 8)
    assert (config.pl_weight, config.pl_interval, config.style_mixing) == (2.0, 4, 0.9)
    assert config.alpha(0.01) == config.alpha(40) == 0.5  # SG2's block from the second step on


@pytest.mark.parametrize("resolution, expected", [
    (0, "--resolution: expected at least 4, found 0"),
    ("sixty", "--resolution: expected a positive side or height x width .*, found 'sixty'"),
    (101, "g_input_res: expected below --resolution 101x101, .*give a --resolution with even")])
def test_a_preset_at_a_wrong_resolution_is_refused(resolution, expected):
    with pytest.raises(UsageError, match=expected):
        make_config({**PATHS, "preset": "stylegan2", "resolution": resolution})


@pytest.mark.parametrize("preset, resolution, start, generator", [
    ("small-data", "240x256", "15x16", [256, 128, 64, 32, 16]),
    ("small-data", 28, 7, [128, 72, 36]),
    ("stylegan2", "240x256", "15x16", [512, 512, 256, 128, 64]),
    ("stylegan2", 28, 7, [512, 512, 512])])
def test_presets_fit_any_shape(preset, resolution, start, generator):
    config = make_config({**PATHS, "preset": preset, "resolution": resolution})
    assert config.g_input_res == config.d_final_res == start
    assert config.generator_filters == generator
    assert config.discriminator_filters == generator[:0:-1]


@pytest.mark.parametrize("resolution, generator, discriminator", [
    (32, [256, 128, 64], [128, 256]),
    (64, [512, 256, 128, 64], [128, 256, 512]),
    (256, [512, 256, 128, 64, 32, 16], [32, 64, 128, 256, 512])])
def test_simple_sizes(resolution, generator, discriminator):
    config = make_config({**PATHS, "preset": "simple", "resolution": resolution})
    assert (config.generator_filters, config.discriminator_filters) == (generator, discriminator)
    assert (config.convolutions, config.mapping_layers) == (1, 1)


@pytest.mark.parametrize("resolution", [64, 128, 256])
def test_simple_is_recommended_with_lighter_networks(resolution):
    simple, recommended = (make_config({**PATHS, "preset": name, "resolution": resolution})
                           for name in ("simple", "recommended"))
    lighter = dict(preset="recommended", convolutions=2, mapping_layers=None)
    assert recommended.mapping_depth == 8
    assert dataclasses.replace(simple, **lighter) == recommended


def test_simple_refuses_other_resolutions():
    with pytest.raises(UsageError, match="--preset simple: .*256, 128, 64, 32, found 512"):
        make_config({**PATHS, "preset": "simple", "resolution": 512})


@pytest.mark.parametrize("resolution, generator", [
    (32, [128, 128, 64, 32]),
    (64, [128, 128, 64, 32, 16]),
    (128, [256, 256, 128, 64, 32, 16]),
    (256, [256, 256, 256, 128, 64, 32, 16])])
def test_small_data_sizes(resolution, generator):
    config = make_config({**PATHS, "preset": "small-data", "resolution": resolution})
    assert config.generator_filters == generator
    assert config.discriminator_filters == generator[:0:-1]
    assert (config.adam_rate, config.beta, config.beta2) == (0.0025, 0.0, 0.99)
    assert (config.latent, config.w_units, config.mapping_depth) == (128, 128, 8)
    assert (config.batch, config.convolutions) == (32, 2)
    assert config.r1_weight == min(0.01 * resolution**2 / 32, 10)
    assert config.alpha(0.01) == config.alpha(40) == 0.5


def test_flags_override_a_preset():
    config = make_config({**PATHS, "preset": "recommended", "resolution": 256, "lr": 3e-4,
                          "g_init_filters": 256, "batch": None})
    assert (config.lr, config.g_init_filters, config.batch) == (3e-4, 256, 64)


# -- derived values


def test_alpha_moves_once_an_epoch():
    config = usual(fade_in_base=80.0)
    assert [config.alpha(epoch) for epoch in (0, 0.99, 1, 1.5, 20)] == [
        0, 0, 1 / 80, 1 / 80, 0.25]


def test_alpha_stays_at_one_half():
    config = usual(fade_in_base=80.0)
    assert config.alpha(39) == 39 / 80
    assert config.alpha(40) == config.alpha(41) == config.alpha(1000) == 0.5


def test_alpha_per_step_is_continuous():
    config = usual(fade_in_base=10.0, fade_per="step")
    assert config.alpha(0.5) == 0.05
    alphas = [config.alpha(step / 100) for step in range(1000)]
    moves = [after - before for before, after in zip(alphas, alphas[1:], strict=False)]
    assert min(moves) >= 0
    assert max(moves) == pytest.approx(0.001)
    assert alphas[-1] == 0.5


def test_adam_rate_is_that_of_stylegan2():
    assert usual().adam_rate == pytest.approx(0.0025)
    assert usual(loss="wgan-gp").adam_rate == pytest.approx(0.001)
    assert usual(loss="relativistic").adam_rate == pytest.approx(0.0025)
    assert usual(lr=0.0025, lr_scale=1.0).adam_rate == 0.0025


def test_each_network_may_have_a_rate_of_its_own():
    assert usual().d_adam_rate == pytest.approx(usual().adam_rate)
    config = usual(lr=1e-4, d_lr=3e-4, mapping_lr=1e-5)
    assert config.adam_rate == pytest.approx(1e-4 * 12.5)
    assert config.d_adam_rate == pytest.approx(3e-4 * 12.5)
    assert config.mapping_multiplier == pytest.approx(0.1)
    assert usual().mapping_multiplier == 0.01
    assert usual(lr=1e-4, d_lr=3e-4, loss="wgan-gp").d_adam_rate == pytest.approx(3e-4 * 5)


def test_depth_of_the_mapping_network():
    assert usual().mapping_depth == 8
    assert usual(mapping_layers=3).mapping_depth == 3


def test_penalties_of_a_stage():
    config = usual(resolution="64x128", batch=32)
    assert config.r1_weight_at((8, 16), 128) == pytest.approx(0.01)
    assert config.r1_weight == config.r1_weight_at((64, 128), 32) == pytest.approx(2.56)
    assert config.r1_weight_at((256, 256), 16) == 10.0
    assert usual(r1_gamma=3.0).r1_weight_at((8, 8), 4) == 3.0
    paired = usual(loss="relativistic")
    assert paired.r2_weight_at((8, 8), 4) == paired.r1_weight_at((8, 8), 4) > 0
    assert usual(loss="wgan-gp").r1_weight_at((8, 8), 4) == 0.0


def test_r1_weight():
    assert usual(resolution=256, batch=64).r1_weight == 10.0
    assert usual(resolution=64, batch=32).r1_weight == pytest.approx(1.28)
    assert usual(resolution=256, batch=16).r1_weight == 10.0
    assert usual(r1_gamma=3.0).r1_weight == 3.0
    assert usual(r1_gamma=0.0).r1_weight == 0.0
    assert usual(r1_gamma=3.0, loss="wgan-gp").r1_weight == 0.0


def test_r2_weight():
    assert usual().r2_weight == 0.0
    assert usual(r2_gamma=2.0).r2_weight == 2.0
    assert usual(loss="relativistic", resolution=64, batch=32).r2_weight == pytest.approx(1.28)
    assert usual(loss="relativistic", r1_gamma=3.0).r2_weight == 3.0
    assert usual(loss="relativistic", r2_gamma=0.0).r2_weight == 0.0
    assert usual(r2_gamma=2.0, loss="wgan-gp").r2_weight == 0.0


def test_lazy_intervals():
    assert (usual().d_interval, usual().g_interval) == (16, None)
    assert usual(r1_gamma=0.0).d_interval is None
    assert usual(r1_gamma=0.0, r2_gamma=1.0, r1_interval=8).d_interval == 8
    assert usual(loss="wgan-gp").d_interval is None
    assert usual(pl_weight=2.0, pl_interval=5).g_interval == 5


def test_w_has_the_length_of_z_unless_given():
    assert usual(latent=48).w_units == 48
    assert usual(latent=48, w_dim=32).w_units == 32


def test_half_life_of_the_average():
    assert usual(batch=64).ema_images == 20_000
    assert usual(batch=64, ema_kimg=2.5).ema_images == 2500


# -- JSON


def test_json_round_trip():
    config = usual(resolution=128, lr=1 / 3, w_dim=7, fade_per="step", neptune=True, cache="c",
                   r1_gamma=0.0, output_dir="Übung 名")
    assert from_json(json.dumps(config.to_json())) == config
    assert list(config.to_json()) == [field.name for field in dataclasses.fields(TrainConfig)]


def test_json_of_an_older_version_takes_the_defaults():
    content = usual(batch=64).to_json()
    del content["drift_weight"]
    assert from_json(json.dumps(content)) == usual(batch=64)


@pytest.mark.parametrize("read", [
    lambda content: from_json(json.dumps(content)),
    lambda content: make_config({**PATHS, **SIZES, **content})])
def test_unknown_field_names_the_nearest(read):
    with pytest.raises(UsageError, match="'resolutoin'.*'resolution'"):
        read({"resolutoin": 64})


def test_json_with_nan_is_refused():
    content = usual().to_json() | {"lr": math.nan}
    with pytest.raises(UsageError, match="--lr: expected a finite number"):
        from_json(json.dumps(content))


# -- refusals


@pytest.mark.parametrize("name, value, expected", [
    ("fade_in_base", 0.0, "fade_in_base: expected a number above 0"),
    ("fade_in_base", -1.0, "fade_in_base: expected a number above 0"),
    ("channels", 2, "--channels: expected one of 1, 3, 4, found 2"),
    ("convolutions", 3, "--convolutions: expected one of 1, 2, found 3"),
    ("batch", 3, "--batch: expected at least 4, found 3"),
    ("resolution", 100, "--resolution: .*power of two, found 100x100; .* can be 25, 50$"),
    ("resolution", 9, "--resolution: .*power of two, found 9x9; .*a --resolution with even sides"),
    ("resolution", "240x256", "g_input_res 8x8 times .*, found 240x256; .* can be 15x16, 30x32, "),
    ("resolution", "64x", "--resolution: expected a positive side or .*, found '64x'"),
    ("resolution", "64x2", "--resolution: expected at least 4, found 2"),
    ("g_input_res", 64, "g_input_res: expected below --resolution 64x64, found 64x64; give one of "
     "2, 4, 8, 16, 32$"),
    ("g_input_res", 128, "g_input_res: expected below --resolution 64x64, found 128x128"),
    ("g_input_res", "8x16", "--resolution: expected g_input_res 8x16 times a power of two"),
    ("d_final_res", 64, "d_final_res: expected below --resolution 64x64, found 64x64"),
    ("d_final_res", 12, "--resolution: expected d_final_res 12x12 times a power of two"),
    ("d_final_res", 1, "d_final_res: expected at least 2"),
    ("g_input_res", 1, "g_input_res: expected at least 2"),
    ("g_init_filters", 4, "g_init_filters: expected at least 8.*found 4"),
    ("d_input_filters", 0, "d_input_filters: expected at least 1"),
    ("lr", 0.0, "--lr: expected a number above 0"),
    ("lr_scale", -1.0, "--lr-scale: expected a number above 0"),
    ("beta", 1.0, "--beta: expected a number below 1"),
    ("beta2", -0.1, "--beta2: expected at least 0"),
    ("epochs", 0, "--epochs: expected at least 1"),
    ("epochs", 2**31, "--epochs: expected at most 2147483647"),
    ("lr", 10**400, "--lr: expected at most 2147483647"),
    ("mapping_layers", 65, "--mapping-layers: expected at most 64, found 65$"),
    ("latent", 2**16 + 1, "--latent: expected at most 65536, found 65537$"),
    ("w_dim", 2**17, "--w-dim: expected at most 65536, found 131072$"),
    ("g_init_filters", 2**17, "g_init_filters: expected at most 65536, found 131072$"),
    ("d_input_filters", 2**15, "d_input_filters: expected .*, found 32768, which grows to 131072"),
    ("checkpoint", 0, "--checkpoint: expected at least 1"),
    ("seed", 2**31, "--seed: expected a number below"),
    ("loss", "hinge", "--loss: expected one of .*relativistic, wgan-gp, found 'hinge'"),
    ("preset", "best", "--preset: expected one of recommended, .*stylegan2, found 'best'"),
    ("r1_gamma", -1.0, "--r1-gamma: expected at least 0"),
    ("r2_gamma", -1.0, "--r2-gamma: expected at least 0"),
    ("pl_weight", -1.0, "--pl-weight: expected at least 0"),
    ("arch", "biggan", "--arch: expected one of stylegan2, stylegan, dcgan, found 'biggan'"),
    ("attention", 1, "--attention: expected at least 2"),
    ("d_lr", 0.0, "--d-lr: expected a number above 0"),
    ("mapping_lr", -1.0, "--mapping-lr: expected a number above 0"),
    ("d_dropout", 1.0, "--d-dropout: expected a number below 1"),
    ("pl_interval", 0, "--pl-interval: expected at least 1"),
    ("style_mixing", -0.1, "--style-mixing: expected at least 0"),
    ("style_mixing", 1.1, "--style-mixing: expected a probability, 0 to 1, found 1.1")])
def test_out_of_range_is_refused_by_name(name, value, expected):
    with pytest.raises(UsageError, match=expected):
        usual(**{name: value})


@pytest.mark.parametrize("given, expected", [
    (dict(arch="dcgan", style_mixing=0.9), "--style-mixing: .*found --arch dcgan, which has"),
    (dict(arch="dcgan", mapping_lr=1e-4), "--mapping-lr: .*dcgan, which has"),
    (dict(arch="dcgan", mapping_layers=2), "--mapping-layers: .*dcgan, which has"),
    (dict(arch="dcgan", w_dim=8), "--w-dim: expected with --arch stylegan2 or stylegan"),
    (dict(attention=4), r"--attention: .*both networks have \(64, 32, 16, 8\), found 4"),
    (dict(attention=8, d_final_res=16), r"both networks have \(64, 32, 16\), found 8"),
    (dict(attention=24), "--attention: expected the longer side of maps"),
    (dict(resolution="60x64", g_input_res="15x16", d_final_res="15x16", attention=30),
     r"--attention: .*have \(64, 32, 16\), found 30"),
    (dict(resolution=2**14, g_init_filters=2**14),
     "--resolution: expected at most 8192, found 16384$"),
    (dict(labels="labels.csv"), "--labels: expected with --conditional or --classes, found neit"),
    (dict(stage_kimg="20"), "--stage-kimg: expected with --progressive, found it alone"),
    (dict(stage_batch="8"), "--stage-batch: expected with --progressive, found it alone"),
    (dict(progressive=True, d_final_res=4), "--progressive: expected both networks to grow from "
     "one size, found g_input_res 8 and d_final_res 4"),
    *((dict(progressive=True, stage_kimg=text), "--stage-kimg: expected 1 to 3 numbers with commas"
       f" .*, each above 0, found '{text}'")
      for text in ("", "1,2,3,4", "0", "1,0", "-1", "1,x", "nan", "inf", "1;2")),
    *((dict(progressive=True, stage_batch=text), "--stage-batch: expected 1 to 4 numbers with "
       f"commas between them, each at least 4, found '{text}'")
      for text in ("", "8,8,8,8,8", "8,2", "8.5", "1e2"))])
def test_what_does_not_go_together_is_refused(given, expected):
    with pytest.raises(UsageError, match=expected):
        usual(**given)


def test_what_goes_together_is_accepted():
    assert usual(arch="dcgan", pl_weight=2.0, conditional=True).w_units == 100
    assert usual(attention=8, g_input_res=4).attention == 8
    assert usual(labels="labels.csv", conditional=True) and usual(labels="l", classes="AD,NC")
    assert usual(progressive=True, stage_kimg="1.5,2", stage_batch="128,64,32,4")
    assert usual(resolution="60x64", g_input_res=15, d_final_res="15x16", progressive=True)


@pytest.mark.parametrize("name, value, expected", [
    ("lr", math.nan, "--lr: expected a finite number, found nan"),
    ("fade_in_base", math.inf, "fade_in_base: expected a finite number, found inf"),
    ("drift_weight", -math.inf, "--drift-weight: expected a finite number"),
    ("resolution", True, "--resolution: expected a value of type int, found True"),
    ("resolution", 64.0, "--resolution: expected a value of type int, found 64.0"),
    ("lr", "fast", "--lr: expected a value of type float, found 'fast'"),
    ("lr", True, "--lr: expected a value of type float, found True"),
    ("val", True, "--val: expected a value of type int, found True"),
    ("neptune", 1, "--neptune: expected a value of type bool, found 1"),
    ("neptune", "no", "--neptune: expected a value of type bool, found 'no'"),
    ("data_dir", 7, "data_dir: expected a value of type str, found 7")])
def test_wrong_types_are_refused_by_name(name, value, expected):
    with pytest.raises(UsageError, match=expected):
        usual(**{name: value})


def test_none_is_refused_where_a_value_is_needed(tiny_config):
    with pytest.raises(UsageError, match="--epochs: expected a value of type int, found None"):
        tiny_config(epochs=None)


def test_an_int_will_do_for_a_float():
    assert usual(fade_in_base=80, lr=1).alpha(20) == 0.25


def test_missing_sizes_are_all_named():
    with pytest.raises(UsageError, match="missing d_final_res, d_input_filters, fade_in_base:"):
        make_config({**PATHS, "g_input_res": 8, "g_init_filters": 512})


def test_missing_paths_are_named_even_with_a_preset():
    with pytest.raises(UsageError, match="missing output_dir:"):
        make_config({"data_dir": "data", "preset": "recommended"})


def test_the_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        usual().lr = 1.0
