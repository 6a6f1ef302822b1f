"""Speech engines behind `synthesize`, each a module named in the recipe, and what they share."""
