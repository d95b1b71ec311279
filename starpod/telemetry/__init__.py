"""What can be measured and followed of a running gateway: ids for logs, metrics, traces. It knows nothing of what it measures."""
