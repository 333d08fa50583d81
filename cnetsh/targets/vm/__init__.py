"""A throw-away virtual machine of QEMU's, out of a kernel package and this machine's own files."""
