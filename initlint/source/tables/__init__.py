"""What is known of torch and its libraries: layers, their parameters, initialisers, operations."""
