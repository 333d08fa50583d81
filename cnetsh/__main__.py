"""`python -m cnetsh`."""

from cnetsh.start import main

main()
