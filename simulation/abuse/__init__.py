"""Strangers who misuse a real server's ports, beside clients that use them well."""
