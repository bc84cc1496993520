"""What playclock costs beside servers that do nothing: run `scripts/bench`."""
