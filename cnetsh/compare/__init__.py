"""What is wanted against what is there: snapshot, preview, drift, scope, patch and revert."""
