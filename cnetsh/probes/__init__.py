"""Packets really sent: the checks of a plan, and one packet that is followed to its end."""
