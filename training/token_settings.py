"""How many context tokens there are, what they begin at, and what may differ between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..declared import ARTIST, setting
from .learning_rate import AUTOMATIC

TRAINING, SCHEDULE, TOKENS = "Training", "Schedule", "Tokens and when to stop"

TokenNorm = Literal["prompt", "unbounded", "raw"]

TOKEN_NORMS: dict[TokenNorm, str] = {
    "prompt": "no longer than the prompt's own vectors, in whose length tokens and rates are counted, so that a rate "
    "means the same on every model and the prompt keeps its say",
    "unbounded": "counted in the same length, but as long as the loss makes them",
    "raw": "as long as the loss makes them, tokens and rates in the model's own units, as in version 0.1",
}

TokenAttention = Literal["own", "shared"]

TOKEN_ATTENTIONS: dict[TokenAttention, str] = {
    "own": "beside the prompt, in an attention of their own whose result is added, so that the prompt keeps its whole "
    "say in pose, expression and background",
    "shared": "with the prompt, whose words they take attention from, as in version 0.1 and soft tokens of anima_lora",
}


@dataclass(frozen=True)
class TokenSettings:
    """Of each block's tokens; what is said here of tokens does not touch another trainable."""

    num_tokens: int = setting(
        32,
        help="Context tokens for each block. More remember more of the picture, also what you do not want.",
        topic=TRAINING,
        audience=ARTIST,
        least=1,
        most=4096,
        widget_most=256,
        option="tokens",
    )
    token_norm: TokenNorm = setting(
        "prompt",
        help="How long tokens may grow.",
        topic=TOKENS,
        choices=TOKEN_NORMS,
    )
    init_std: float = setting(
        0.02,
        help="How far from zero the tokens start, as a standard deviation; as a share of that of "
        "prompts unless token_norm is raw. Small values start close to the untouched model.",
        topic=TRAINING,
        least=0.0,
        most=1000.0,
        widget_most=10.0,
        step=0.001,
        rounded=False,
    )
    init_text: str = setting(
        "",
        help="Words whose meaning the tokens begin at, such as 'red hair, long coat'. Empty begins near zero.",
        topic=TOKENS,
    )
    subject_words: str = setting(
        AUTOMATIC,
        help="Words for hair, eyes and clothes that the context says beside its tokens, and that prompts are to say "
        "beside a LoRA or an embedding: auto, with the aim 'new pictures', takes those that the prompt names and lets "
        "the model look for others; or words of your own, such as 'silver hair, twintails'. Empty says none.",
        topic=TOKENS,
    )
    negative_tokens: int = setting(
        0,
        help="Tokens for the negative prompt, trained together with the others through the guided prediction; a step "
        "takes twice as long. 0 trains none. Sample them with apply_to 'both' in Patch Model.",
        topic=TOKENS,
        least=0,
        most=4096,
        widget_most=256,
    )
    guidance: float = setting(
        3.0,
        help="How far the two prompts are driven apart while training with negative_tokens; about the cfg you sample "
        "with.",
        topic=TOKENS,
        least=0.0,
        most=1000.0,
        widget_most=100.0,
        step=0.1,
        public_id="cfg",
    )
    time_ranges: int = setting(
        0,
        help="In how many parts of sampling the tokens may differ: early ones decide composition, late ones detail. 0 "
        "keeps them alike.",
        topic=TOKENS,
        least=0,
        most=1000,
        widget_most=32,
    )
    per_block: bool = setting(
        True,
        help="On: every block of the model gets tokens of its own. Off: all share one set, which learns less and "
        "generalises more.",
        topic=SCHEDULE,
        off_option="shared",
    )

    token_attention: TokenAttention = setting(
        "own",
        help="Where cross-attention reads the tokens. A model that reads text and picture as one sequence has shared "
        "alone.",
        topic=TOKENS,
        choices=TOKEN_ATTENTIONS,
    )

    @property
    def finds_words(self) -> bool:
        """Whether the words for the subject are left to the prompt and the model."""
        return self.subject_words.strip().lower() == AUTOMATIC
