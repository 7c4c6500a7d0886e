"""What the optimiser moves, how the model reads it, and the file that keeps it."""
