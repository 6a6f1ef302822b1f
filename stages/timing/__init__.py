"""Human timing: profiles of gaps, overlaps and pauses, measured on recordings and sampled from."""
