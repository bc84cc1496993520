"""Where records lie: versions and bytes, and no word of the domain."""
