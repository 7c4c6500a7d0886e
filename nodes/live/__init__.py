"""What a node shows while training runs."""
