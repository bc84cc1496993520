"""How `--help` teaches: every command ends with an example that can be copied."""


def example(*lines: str) -> str:
    """Return an epilog that shows the lines as they are."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])
