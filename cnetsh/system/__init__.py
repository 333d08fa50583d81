"""The doors to the machine: processes, namespaces, kernel, packets, signals, own files."""
