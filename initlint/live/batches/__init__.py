"""Sample batches: given in words or files, or inferred from what a model takes."""
