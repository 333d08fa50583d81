"""Rendered text read into steps, and how each is undone: plan, step, directive, undo."""
