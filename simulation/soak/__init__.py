"""Failures in full size, on real servers and real processes; the suite runs short slices of the same code."""
