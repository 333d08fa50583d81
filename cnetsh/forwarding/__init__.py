"""How packets go through what there is, or will be: one model, which runs and asks nothing."""
