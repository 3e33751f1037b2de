"""initlint inside other programs, a module for each; none is imported but by the program that it is for."""
