"""Facts read from source by the standard library's ast: runs nothing, imports no torch."""
