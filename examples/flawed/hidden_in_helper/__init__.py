"""Flaw: the weights are written by a function of another file, which knows nothing of what they are for."""
