"""The test pairs, what methods make of them, and the scores."""
