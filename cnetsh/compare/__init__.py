"""What is wanted against what is there: snapshot, preview, drift, difference, residue, scope."""
