"""The comments that speak to initlint itself."""
