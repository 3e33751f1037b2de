"""What is known of initialisation on paper: fans, gains, the moments of every scheme, recognition, variance maps.

Pure mathematics on the standard library: no torch, no numpy. Nothing is imported here, so that a caller pays only
for the part it uses: ``from initlint.theory import gains``.
"""
