"""The HTTP and WebSocket face of the gateway. It turns requests into service calls and events into JSON; it knows no SQL and no rule."""
