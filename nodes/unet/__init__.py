"""What the UNets of SD 1.5 and SDXL have of their own: tokens beside prompts that are not padded, and resolutions."""
