"""Further agents that this gateway runs, or has run for it elsewhere."""
