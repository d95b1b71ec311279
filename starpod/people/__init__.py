"""Everything that the agent keeps about one person: handed out as a file, or erased."""
