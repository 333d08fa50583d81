"""One file for each command: what it prints and its exit code. Only here are rooms joined."""
