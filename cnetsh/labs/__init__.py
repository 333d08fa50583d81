"""What is wanted, as finished values for a template: lab, template, lab file, container, check."""
