"""What Anima has of its own: its way in for context tokens, its rotary op, its words for backgrounds."""
