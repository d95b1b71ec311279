"""MCP: other agents and programs use the memory, the jobs and the agent itself as tools. Its library is loaded on first use."""
