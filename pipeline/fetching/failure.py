"""What every way of fetching raises."""


class FetchFailed(RuntimeError):
    """A file could not be fetched, or is not the one that was expected; the message is one line and says what helps."""
