"""The ``riverrun`` command."""

from riverrun.cli.app import main

__all__ = ["main"]
