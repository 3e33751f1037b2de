"""INI1xx: values that cannot learn, or were never set."""
