"""The abstract interpreter: statements and expressions to abstract values, and what they write."""
