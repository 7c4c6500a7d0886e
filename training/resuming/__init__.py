"""How a run is saved, and goes on from there to the same bits."""
