"""Embeddings: vectors that take the place of words in a prompt (Textual Inversion, Gal 2022, 2208.01618)."""
