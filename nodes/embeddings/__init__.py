"""Embeddings of SD 1.5 and SDXL: trained through ComfyUI's own text encoders, saved where it finds them."""
