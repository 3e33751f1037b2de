"""INI7xx: what a forward and a backward pass measured."""
