"""Speech engines for `synthesize`, each a module named in the recipe, and their shared code."""
