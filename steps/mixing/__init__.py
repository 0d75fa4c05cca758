"""How much of each source and kind is trained on, and whether it is enough."""
