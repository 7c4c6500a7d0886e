"""Transformers that read text and picture as one sequence: Chroma, Flux, Qwen-Image, Lumina 2 and Z-Image."""
