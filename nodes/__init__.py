"""The nodes, and the extension that hands them to ComfyUI."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .add_reference_node import AddReference
from .apply_context_node import ApplyContextToConditioning
from .collage_node import ReferenceCollage
from .compare_contexts_node import CompareContexts
from .context_info_node import ContextInfo
from .example_reference_node import ExampleReference
from .folders.context_routes import register_context_routes
from .folders.contexts import register_folder
from .folders.painted_uploads import register_painted_uploads
from .live.finish import register_finish_route
from .load_context_node import LoadContext
from .load_folder_node import LoadReferenceFolder
from .mask_source_node import MaskSourceNode
from .merge_contexts_node import MergeContexts
from .options.options_node import TrainingOptionsNode
from .patch_model_node import PatchModel
from .plot_training_node import PlotTraining
from .preview_mask_node import PreviewTrainingMask
from .save_context_node import SaveContext
from .scale_schedule_node import ContextScaleSchedule
from .shape_mask_node import ShapeTrainingMask
from .subtract_context_node import SubtractContext
from .train_embedding_node import MaskTrainEmbedding
from .train_lora_node import MaskTrainLora
from .train_node import MaskTrainContextTokens, TrainContextTokens


class AnimaFastTrainExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_folder()
        register_painted_uploads()
        register_finish_route()
        register_context_routes()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            MaskTrainContextTokens,
            TrainContextTokens,
            MaskTrainLora,
            MaskTrainEmbedding,
            PatchModel,
            ApplyContextToConditioning,
            ContextScaleSchedule,
            MergeContexts,
            SubtractContext,
            TrainingOptionsNode,
            PreviewTrainingMask,
            MaskSourceNode,
            ShapeTrainingMask,
            ExampleReference,
            AddReference,
            LoadReferenceFolder,
            ReferenceCollage,
            SaveContext,
            LoadContext,
            ContextInfo,
            PlotTraining,
            CompareContexts,
        ]
