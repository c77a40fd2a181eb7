"""What users do beside `dvc repro`: detect faces, forget a person, see what became of the data."""
