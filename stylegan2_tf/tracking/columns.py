"""The columns of `log.csv`."""

from stylegan2_tf.fields import METRICS

# What a training step returns; a row has the mean since the one before.
TERMS = ("d_loss", "g_loss", "r1", "r2", "gradient_penalty", "path_length", "pl_penalty",
         "augment_p", "augment_sign", "score_real", "score_fake", "d_grad_norm", "g_grad_norm")
WATCHED = tuple(f"watch/{name}" for name in (
    "diversity", "sign_real", "sign_holdout", "sign_fake", "score_gap"))
COLUMNS = ("step", "nimg", "epoch", "seconds", "images_per_second", "alpha", "stage", "fade",
           *TERMS, "skipped",
           *(f"eval/{name}" for name in METRICS), "eval/seconds", *WATCHED)
