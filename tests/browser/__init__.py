"""The browser UI in a real Chromium against the real server."""
