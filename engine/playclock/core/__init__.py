"""The rules, and nothing else: no I/O, no clock, no randomness, no async.

Time comes in as `now_ms`, random bytes as arguments; what goes out are new records and named outcomes.
"""
