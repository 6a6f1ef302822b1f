"""The command line, recipes, execution on Ray, and reports."""
