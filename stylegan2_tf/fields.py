"""The fields of a training's configuration: every flag with its default, help and bounds."""

import dataclasses

from stylegan2_tf.options import Sides, option
from stylegan2_tf.presets import PRESETS

GROUP_SIZE = 4  # images in a minibatch-stddev group

# What can be measured during training, and whether more of it is better; None: neither. See
# `metrics/`.
METRICS = {"swd": False, "ms-ssim": None, "spectrum": False, "histogram": False, "kid": False,
           "frechet": False, "precision": True, "recall": True, "density": True,
           "coverage": True}
METRICS_KIMG = 15  # between two measurements, at least: they then cost under 5 % of the time
SMALLEST_MEASURED = 16  # pixels

ARCHITECTURES = ("stylegan2", "stylegan", "dcgan")
PIPES = ("mri", "color", "none")  # of augmentation; see `augment/`

# Adam's rate is lr x lr_scale. 12.5 turns the rates made for weights of std 0.02
# (1e-4 to 2e-4) into those of equalised weights of std 1: 2e-4 x 12.5 = 0.0025, StyleGAN2's
# number; WGAN-GP wants 0.001 (PG appendix A.1).
LR_SCALES = {"cross-entropy": 12.5, "relativistic": 12.5, "wgan-gp": 5.0}

# Fields that hold paths of the user, or tell how folders and files of patients are called: they
# stand in OUT/config.json only, never in logs, saved models and model cards.
PRIVATE = ("data_dir", "output_dir", "cache", "labels", "init_from", "subject_pattern", "classes")


@dataclasses.dataclass(frozen=True)
class Fields:
    """Everything that decides a training run, as plain values. See `config.TrainConfig`."""

    data_dir: str = option("", "folder of the training images", group="positional")
    output_dir: str = option("", "run folder; the same command again resumes",
                             group="positional")
    g_input_res: Sides = option(8, "resolution where the generator starts: a side, the shorter "
                                "one, or such as 15x16", group="positional", unit="pixels",
                                minimum=2)
    g_init_filters: int = option(512, "channels there; halved at every doubling",
                                 group="positional", unit="channels", minimum=1)
    d_final_res: Sides = option(8, "resolution where the discriminator ends",
                                group="positional", unit="pixels", minimum=2)
    d_input_filters: int = option(32, "channels of the discriminator at full resolution; "
                                  "doubled at every halving", group="positional",
                                  unit="channels", minimum=1)
    fade_in_base: float = option(80.0, "alpha = min(epoch / fade_in_base, 0.5) weighs the skip "
                                 "of each discriminator block", group="positional",
                                 unit="epochs", above=0)

    preset: str | None = option(None, "set the five sizes and the rates at once",
                                group="networks", choices=PRESETS)
    arch: str = option("stylegan2", "the generator: StyleGAN2's modulated convolutions and "
                       "skips, StyleGAN's AdaIN, or DCGAN with skips; all share the "
                       "discriminator", group="networks", choices=ARCHITECTURES)
    resolution: Sides = option(64, "side of the images, or height x width such as 240x256",
                               group="networks", unit="pixels", minimum=4)
    channels: int = option(1, "1 grey, 3 RGB, 4 RGBA", group="networks", choices=(1, 3, 4))
    latent: int = option(100, "length of z (z_dim)", group="networks", minimum=1)
    w_dim: int | None = option(None, "length of w; auto: that of z", group="networks",
                               minimum=1)
    mapping_layers: int | None = option(
        None, "dense layers from z to w; auto: 8", group="networks", minimum=1)
    max_filters: int | None = option(None, "most channels in any layer; auto: no bound",
                                     group="networks", unit="channels", minimum=1)
    convolutions: int = option(2, "at each resolution of both networks: 2 as in StyleGAN2, or "
                               "only the one that doubles or halves it", group="networks",
                               choices=(1, 2))

    attention: int | None = option(None, "longer side of the feature maps that attend to "
                                   "themselves, in both networks, for example 32; auto: none",
                                   group="networks", unit="pixels", minimum=2)
    spectral_norm: bool = option(False, "divide the kernels of the discriminator's blocks and head "
                                 "by their largest singular value", group="networks")
    conditional: bool = option(False, "learn the classes: give both networks the label of every "
                               "image, by its folder or --labels", group="networks")
    progressive: bool = option(False, "grow both networks from their smallest resolution, each "
                               "further one fading in over half its stage", group="networks")
    stage_kimg: str | None = option(
        None, "with --progressive: images of each stage before the last, one number or a list "
        "such as 20,20,40; not given: equal parts of the run", group="networks", unit="kimg")
    stage_batch: str | None = option(
        None, "with --progressive: batch of each stage, a list such as 128,128,64,32, whose last "
        "number holds for the rest; not given: --batch", group="networks", unit="images")

    precision: str = option("float32", "numbers that both networks compute with: bfloat16 and "
                            "float16 are faster where the hardware multiplies them; auto: bfloat16 "
                            "on a CPU with AMX or a GPU from Ampere on, else float32",
                            group="training", choices=("float32", "bfloat16", "float16", "auto"))
    devices: int = option(1, "GPUs of this machine, or of each worker, that share every step; the "
                          "batch is that of all together", group="training", minimum=1)
    batch: int = option(128, "images in a step", group="training", unit="images",
                        minimum=GROUP_SIZE)
    epochs: int = option(20, "length of the run", group="training", unit="epochs", minimum=1)
    lr: float = option(2e-4, "learning rate of both optimizers; Adam uses lr x lr-scale",
                       group="training", above=0)
    lr_scale: float | None = option(
        None, "factor on --lr: rates made for weights of std 0.02 become those of equalised "
        "weights; 1 takes --lr literally; auto: 12.5, or 5 with wgan-gp",
        group="training", above=0)
    d_lr: float | None = option(None, "learning rate of the discriminator, scaled alike; auto: "
                                "--lr", group="training", above=0)
    mapping_lr: float | None = option(None, "learning rate of the mapping network, scaled alike; "
                                      "auto: 0.01 x --lr", group="training", above=0)
    beta: float = option(0.5, "Adam's decay of the first moment", group="training", minimum=0,
                         below=1)
    beta2: float = option(0.99, "Adam's decay of the second moment", group="training",
                          minimum=0, below=1)
    fade_per: str = option("epoch", "how often alpha moves", group="training",
                           choices=("epoch", "step"))
    ema_kimg: float | None = option(None, "half-life of the averaged generator; auto: "
                                    "batch x 10 / 32; 0 for no average", group="training",
                                    unit="kimg", minimum=0)
    init_from: str | None = option(
        None, "start from the weights of a run or model folder, wherever they fit; what was "
        "taken is printed", group="training")
    seed: int = option(0, "decides weights, latents, noise and the order of images",
                       group="training", minimum=0, below=2**31)

    loss: str = option("cross-entropy", "the adversarial loss", group="loss",
                       choices=tuple(LR_SCALES))
    r1_gamma: float | None = option(None, "weight of R1, the gradient penalty on reals, 0 for "
                                    "none; auto: 0.01 x resolution^2 / batch, at most 10",
                                    group="loss", minimum=0)
    r2_gamma: float | None = option(None, "weight of R2, the same penalty on fakes; auto: "
                                    "that of R1 with relativistic, else 0", group="loss",
                                    minimum=0)
    r1_interval: int = option(16, "apply R1 and R2 once in so many steps", group="loss",
                              unit="steps", minimum=1)
    gradient_penalty_weight: float = option(10.0, "weight of the penalty of wgan-gp",
                                            group="loss", minimum=0)
    drift_weight: float = option(0.001, "weight of D(real)^2 with wgan-gp", group="loss",
                                 minimum=0)
    pl_weight: float = option(0.0, "weight of the generator's path length penalty, 0 for none; "
                              "StyleGAN2 takes 2", group="loss", minimum=0)
    pl_interval: int = option(4, "apply it once in so many steps", group="loss", unit="steps",
                              minimum=1)
    d_dropout: float = option(0.0, "probability that a feature map of the discriminator is dropped "
                              "after each block", group="loss", minimum=0, below=1)
    style_mixing: float = option(0.0, "probability that a batch mixes the w of two latents, cut "
                                 "at a random layer; StyleGAN2 takes 0.9", group="loss",
                                 minimum=0)

    augment: str = option("mri", "random changes of reals and fakes before the discriminator sees "
                          "them: what a scanner does (shift, scale, rotation up to 10 degrees, "
                          "contrast, noise, cut-out), also colours, or none",
                          group="augmentation", choices=PIPES)
    augment_target: float = option(0.6, "mean sign of D on reals that decides how often to "
                                   "augment", group="augmentation", minimum=0, below=1)
    augment_kimg: float = option(100.0, "images that take its probability from 0 to 1, at most "
                                 "0.8; 500 for runs over 1,000 kimg", group="augmentation",
                                 unit="kimg", above=0)
    mirror: bool = option(False, "exchange left and right, too: generated brains lose their sides",
                          group="augmentation")

    fit: str = option("pad", "bring images to the shape of --resolution by padding with their "
                      "background, cropping the centre, or stretching", group="data",
                      choices=("pad", "crop", "stretch"))
    cache: str | None = option(None, "folder of the decoded images; not given: OUT/cache",
                               group="data")
    classes: str | None = option(
        None, "train on these only: names of sub-folders, or of --labels, with commas between "
        "them; not given, or all: everything", group="data")
    labels: str | None = option(None, "CSV file with columns file,label; not given: the label of "
                                "an image is its folder", group="data")
    holdout: float = option(0.0, "share of the subjects that is kept out of training, for the "
                            "metrics and the watchdog", group="data", minimum=0, below=1)
    subject_pattern: str | None = option(
        None, "regular expression whose group is the subject in a file name; not given: OASIS, "
        "ADNI, BIDS, IXI", group="data")
    max_images: int | None = option(None, "train on so many images, evenly spread; auto: on "
                                   "all", group="data",
                                    unit="images", minimum=1)

    checkpoint: int = option(1, "save after so many epochs", group="output", unit="epochs",
                             minimum=1)
    keep: int = option(2, "checkpoints kept", group="output", minimum=1)
    val: int = option(16, "images in each sample grid", group="output", unit="images",
                      minimum=1)
    metrics: str | None = option(
        None, f"measure the averaged generator: a list of {', '.join(METRICS)}; or none; not "
        "given: swd,kid from 16 pixels up", group="output")
    metrics_every: int | None = option(None, "measure after so many epochs; auto: at least "
                                       f"{METRICS_KIMG} kimg", group="output", unit="epochs",
                                       minimum=1)
    on_collapse: str = option("warn", "when the watchdog sees a collapse: say so, roll back to "
                              "the last healthy weights with half the learning rates, or stop",
                              group="output", choices=("warn", "rollback", "stop"))
    best_metric: str | None = option(
        None, "the metric that chooses Model/best; not given: the first of --metrics",
        group="output", choices=tuple(name for name, more in METRICS.items() if more is not None))
    neptune: bool = option(False, "also log with Neptune: offline into OUT/neptune unless a "
                           "token and a reachable server are set", group="output")
