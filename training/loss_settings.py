"""What counts as an error, and how much."""

from __future__ import annotations

from dataclasses import dataclass

from ..declared import ARTIST, setting

LOSS = "Loss"


@dataclass(frozen=True)
class LossSettings:
    """Weights multiply losses; the losses themselves stand in loss.py."""

    unmasked_weight: float = setting(
        0.0,
        help="How much of the reference outside the mask is learned as well: 0 is nothing, 1 is as if there were no "
        "mask.",
        topic=LOSS,
        audience=ARTIST,
        least=0.0,
        most=1.0,
        step=0.01,
    )
    normalize_area: bool = setting(
        True,
        help="On: a small mask trains as strongly as a large one. Off: the loss shrinks with the mask, as in "
        "sd-scripts.",
        topic=LOSS,
        audience=ARTIST,
    )
    emphasis_weight: float = setting(
        4.0,
        help="How many times white of an attention_map counts, where black counts once. 1 is as without the map.",
        topic=LOSS,
        least=1.0,
        most=100.0,
        off=1.0,
        step=0.1,
        public_id="attention_weight",
    )
    prior_weight: float = setting(
        2.4,
        help="How firmly the picture outside the mask is held to what the model draws without the context. 0 lets the "
        "context change backgrounds too. A LoRA, which weight decay holds too, counts half of it.",
        topic=LOSS,
        audience=ARTIST,
        least=0.0,
        most=10_000.0,
        widget_most=100.0,
        step=0.1,
    )
    balance_prior: bool = setting(
        True,
        help="On: the losses inside and outside the mask are counted in units of the error before training, so that "
        "one prior_weight fits plain and busy backgrounds. Off: they are counted as they are.",
        topic=LOSS,
    )

    @property
    def prior_count(self) -> float:
        """How many times the prior preservation loss counts."""
        return self.prior_weight
