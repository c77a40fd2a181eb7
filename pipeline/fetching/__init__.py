"""Files of third parties that may be fetched freely: out of pinned wheels, or from where their owners publish them."""
