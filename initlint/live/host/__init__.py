"""The process that a model is run in, and how it is left: state, devices, ranks, exceptions of the user."""
