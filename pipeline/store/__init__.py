"""What passes between stages, and how it is named: tables, clips, fits, hashes."""
