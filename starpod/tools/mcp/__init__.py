"""MCP servers: programs and addresses of others whose tools the agent may use."""
