"""Programs that speak OpenAI's protocol talk to the agent."""
