"""From a picture and its mask to what a training step reads of it."""
