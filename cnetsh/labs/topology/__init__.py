"""The general lab: the values that a lab file's bridges and containers give its template."""
