"""The revisions of the archive's tables."""
