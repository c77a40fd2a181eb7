"""What stands below every table: what the numbers are of, how they were measured, what they leave out."""
