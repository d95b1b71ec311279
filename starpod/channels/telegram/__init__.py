"""Telegram: a bot that linked people talk to the agent through. Its library is loaded only while the channel is on."""
