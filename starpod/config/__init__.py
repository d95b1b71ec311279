"""The settings of an agent: their shape, reading, first writing and reloading."""
