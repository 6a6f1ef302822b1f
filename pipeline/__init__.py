"""What runs: command line, recipe, execution on Ray, reports."""
