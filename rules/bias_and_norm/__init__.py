"""INI3xx: biases and norms."""
