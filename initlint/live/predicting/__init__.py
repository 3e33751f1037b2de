"""What theory says of a signal along a traced graph, where no weight is made."""
