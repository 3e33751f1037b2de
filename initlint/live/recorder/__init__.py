"""What is noted while a model is built: every write to every tensor, and whose statement it was."""
