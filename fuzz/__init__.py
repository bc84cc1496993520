"""Coverage-guided fuzzing of what strangers send before they have proved who they are: headers and JSON."""
