"""A small web shop whose parts talk through a message broker."""
