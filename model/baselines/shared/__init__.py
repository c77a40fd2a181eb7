"""What several published systems have in common."""
