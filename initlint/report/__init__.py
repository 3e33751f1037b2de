"""One module a format; each turns a Report into text."""
