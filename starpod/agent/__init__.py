"""The agent: turns, models, prompt, history. It knows nothing of HTTP."""
