"""The command line, one module per command. The composition root: the only part that sees engine, stores and facade."""
