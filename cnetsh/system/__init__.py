"""The doors to the machine: processes, namespaces, packets, signals, files of cnetsh's own."""
