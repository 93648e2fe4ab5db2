"""Tests of the attack itself, and a short form of it."""
