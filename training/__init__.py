"""Training of context tokens, in plain torch: references, schedules, the masked loss, the trainer, the context file."""

from ..masking.framing import Framing
from .backbone import Backbone
from .evaluation import Evaluation, EvaluationGrid
from .loss import masked_diffusion_loss, prior_preservation_loss
from .references.augmentation import Augmentation
from .references.caption import CaptionOptions
from .references.encode import EncodedReference, encode_references
from .references.reference import Reference, make_reference, references_from_batch
from .references.reference_file import read_reference
from .references.reference_list import ReferenceList
from .reports.summary import describe
from .result import StepReport, TrainingDiverged, TrainingResult
from .settings import TrainingSettings
from .train_context import train_context_tokens
from .trainables.context_file import ReferenceContext
from .training_info import TrainingInfo

__all__ = [
    "Augmentation",
    "Backbone",
    "CaptionOptions",
    "EncodedReference",
    "Evaluation",
    "EvaluationGrid",
    "Framing",
    "Reference",
    "ReferenceContext",
    "ReferenceList",
    "StepReport",
    "TrainingDiverged",
    "TrainingInfo",
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
