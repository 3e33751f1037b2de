"""What a forward and a backward pass measure: signal, gradient, range, and what training leaves."""
