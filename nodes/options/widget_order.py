"""The order of the nodes' inputs. Saved workflows hold the values of widgets by place: what is new goes to the end.

The frontend shows required inputs before optional ones, so those that came after the first release are all optional.
"""

from __future__ import annotations

TRAINING_NODES = (
    "model",
    "clip",
    "vae",
    "reference_image",
    "training_mask",  # of the masked node alone
    "training_prompt",
    "training_image_size",
    "num_tokens",
    "init_std",
    "train_steps",
    "learning_rate",
    "seed",
    "options",
    "references",
    "attention_map",
)

TRAINING_OPTIONS = (
    "batch_size",
    "gradient_accumulation",
    "prior_weight",
    "unmasked_weight",
    "normalize_area",
    "mask_source",
    "mask_reduction",
    "crop_to_mask",
    "crop_margin",
    "fit",
    "rate_shape",
    "warm_up",
    "timestep_sampling",
    "timestep_shift",
    "weight_decay",
    "clip_norm",
    "ema",
    "per_block",
    "evaluations",
    "noise_pool",
    "checkpointing",
    "precision",
    "enlarge",
    "flip_augmentation",
    "name",
    "shuffle_tags",
    "tag_dropout",
    "caption_dropout",
    "init_text",
    "negative_tokens",
    "cfg",
    "time_ranges",
    "clip_value",
    "patience",
    "checkpoint_every",
    "checkpoint_name",
    "resume_from",
    "preview_every",
    "preview_name",
    "random_crop",
    "backgrounds",
    "background_images",
    "attention_weight",
    "stratified",
    "balance_prior",
    "least_improvement",
)
FIRST_OPTIONAL = "enlarge"  # in TRAINING_OPTIONS; workflows from before it came still run
