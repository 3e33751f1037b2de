"""INI6xx: whether the same seed gives the same model."""
