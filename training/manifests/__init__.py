"""Many trainings from one table: what a manifest says, what its results are called, and who trains them."""
