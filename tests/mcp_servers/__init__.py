"""Real MCP servers for tests: well-behaved ones, over stdio and HTTP, and some that misbehave."""
