"""MODEL, CLIP and VAE of ComfyUI as a frozen Anima that reads context tokens, in training and in sampling."""
