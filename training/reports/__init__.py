"""What is said, plotted and tabled of a training run."""
