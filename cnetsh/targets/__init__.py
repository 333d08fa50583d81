"""Where a plan runs, entered once, after which all targets are alike: sandbox, VM and host."""
