"""Connects a pipeline to its servers and runs its stages as a process."""
