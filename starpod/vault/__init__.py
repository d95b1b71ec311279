"""The vault: secrets of the agent, encrypted at rest, that no route and no tool ever gives out."""
