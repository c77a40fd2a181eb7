"""The card of a model: what it was made from, by which code, how it scores, whose terms hold, and what it is for."""
