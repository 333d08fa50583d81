"""`python -m cnetsh`."""

from cnetsh.cli import main

main()
