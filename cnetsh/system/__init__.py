"""The doors to the machine: processes, namespaces, signals, files of cnetsh's own."""
