"""MODEL, CLIP and VAE of ComfyUI as a frozen model to train against and to sample with, whatever its family."""
