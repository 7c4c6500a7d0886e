"""A training step through frozen transformer blocks of Anima's layout, with nothing computed twice and nothing kept
that the backward pass does not need."""
