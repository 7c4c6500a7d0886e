"""What one forward pass of training sees."""
