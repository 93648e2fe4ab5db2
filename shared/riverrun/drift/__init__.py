"""Detecting drift: tests of distributions, their correction, and monitors that put them to a stream."""
