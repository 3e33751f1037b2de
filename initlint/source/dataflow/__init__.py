"""What runs through a forward: which activation, norm or sum takes the output of each layer."""
