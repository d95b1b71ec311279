"""Jobs that the agent runs by itself, at times that people choose."""
