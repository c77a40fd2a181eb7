"""The two small networks that this project ships: the puppet tracker and the puppet judge."""
