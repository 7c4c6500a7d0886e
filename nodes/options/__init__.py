"""What Training Options holds, and its widgets."""
