"""Scripted model providers: real HTTP servers that the real SDKs talk to."""
