"""The chat-completion client: retries, reply cache, cost and budget."""
