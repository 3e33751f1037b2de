"""INI2xx: scale and scheme."""
