"""The types of the wires between the nodes of this pack."""

from comfy_api.latest import io

Context = io.Custom("ANIMA_REFERENCE_CONTEXT")
Options = io.Custom("ANIMA_TRAINING_OPTIONS")
References = io.Custom("ANIMA_REFERENCES")
Schedule = io.Custom("ANIMA_CONTEXT_SCHEDULE")
LossMap = io.Custom("LOSS_MAP")  # ComfyUI's own, so that Plot Loss Graph takes it
