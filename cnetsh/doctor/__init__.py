"""What stands in a lab's way on a target, found by looking: traps and findings."""
