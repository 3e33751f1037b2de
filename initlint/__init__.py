"""initlint: whether a PyTorch model's parameters start out right."""
