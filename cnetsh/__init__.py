"""Linux container networks that you can read before you run them, run, check, undo and teach."""

__version__ = "0.1.0"
