"""What the values of parameters are: figures of each, whole or in pieces."""
