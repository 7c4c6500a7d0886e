"""Noise levels, what a model predicts at them, and how that draws a picture."""
