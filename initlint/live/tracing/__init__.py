"""One forward pass followed operation by operation: what becomes of the output of each layer."""
