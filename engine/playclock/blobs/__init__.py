"""Where files lie: names and bytes behind one protocol, and no word of what they mean."""
