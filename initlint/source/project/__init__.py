"""The other files of a project: found as Python would, read within bounds."""
