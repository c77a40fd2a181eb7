"""params.yaml as types: every number that changes a result stands there, none in code."""
