"""What a script does in order: seeds, builds, loads, makes optimisers, trains."""
