"""The demonstrations: digits, photographs and the retina, made with the public names only."""
