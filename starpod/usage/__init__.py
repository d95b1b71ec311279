"""What the agent's model calls used and cost: sums for the settings pages, and budgets."""
