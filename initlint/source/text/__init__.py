"""A file before it is understood: which are read, the one walk over a tree, names, comments that silence."""
