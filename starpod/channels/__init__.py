"""Ways to the agent besides its own HTTP face: each a package that knows one outside service."""
