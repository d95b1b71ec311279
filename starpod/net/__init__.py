"""Outgoing HTTP to addresses that others name: only the public internet, within limits."""
