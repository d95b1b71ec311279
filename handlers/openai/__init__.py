"""`/v1`: the gateway for programs that speak OpenAI's protocol."""
