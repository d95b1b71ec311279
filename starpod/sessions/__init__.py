"""Conversations: who talks to the agent on which channel, and what was said."""
