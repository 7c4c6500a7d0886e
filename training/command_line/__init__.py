"""The command line of the trainer."""

from .application import main

__all__ = ["main"]
