"""Schemathesis against a served facade: every answer is as its own OpenAPI document says."""
