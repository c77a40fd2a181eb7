"""Taking over a finished run that an earlier layout of this project made."""
