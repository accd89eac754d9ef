"""Do modes of contributions give greater control than modes of activations? See `__main__`."""
