"""The questions one may ask of a policy set."""
