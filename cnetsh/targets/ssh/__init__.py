"""Another machine, reached by OpenSSH: cnetsh is sent there once, and does all the rest there."""
