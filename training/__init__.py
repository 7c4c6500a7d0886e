"""Training of context tokens, in plain torch: references, schedules, the masked loss, the trainer, the context file."""

from .backbone import Backbone
from .caption import CaptionOptions
from .context import ContextInfo, ReferenceContext
from .encode import EncodedReference, encode_references
from .evaluation import Evaluation, EvaluationGrid
from .loss import masked_diffusion_loss, prior_preservation_loss
from .reference import Framing, Reference, make_reference, read_reference, references_from_batch
from .reference_list import ReferenceList
from .result import StepReport, TrainingDiverged, TrainingResult
from .settings import TrainingSettings
from .summary import describe
from .trainer import train_context_tokens
from .variants import Augmentation

__all__ = [
    "Augmentation",
    "Backbone",
    "CaptionOptions",
    "ContextInfo",
    "EncodedReference",
    "Evaluation",
    "EvaluationGrid",
    "Framing",
    "Reference",
    "ReferenceContext",
    "ReferenceList",
    "StepReport",
    "TrainingDiverged",
    "TrainingResult",
    "TrainingSettings",
    "describe",
    "encode_references",
    "make_reference",
    "masked_diffusion_loss",
    "prior_preservation_loss",
    "read_reference",
    "references_from_batch",
    "train_context_tokens",
]
