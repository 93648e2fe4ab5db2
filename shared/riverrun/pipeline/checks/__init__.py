"""The checks of a pipeline, a module for each thing that can be wrong; they yield problems, raise nothing."""
