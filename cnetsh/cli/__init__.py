"""The command line: its parameters, how a command is declared and found, and what there is."""
