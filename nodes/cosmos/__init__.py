"""What Cosmos-Predict2 has of its own beside Anima, which was made from it: its text encoder and its noise."""
