"""What the agent remembers: markdown files of people and of the agent, their earlier versions, and the index over them."""
