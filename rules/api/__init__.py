"""INI5xx: misuse of the initialisers' API."""
