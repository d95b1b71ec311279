"""The agent's tools, one file a family. They act as the turn's user, inside that user's home."""
