"""The agent dialect over HTTP, as its documents have it."""
