"""INI4xx: which statement initialises what, and when."""
