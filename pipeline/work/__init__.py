"""Long work over many clips: processes that may be killed, finished pieces, and an account of every clip."""
