"""What every method of face animation looks like: its network, how it is taught, and its files."""
