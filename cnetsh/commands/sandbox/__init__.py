"""The commands `sandbox start|stop|list`, one file for each."""
