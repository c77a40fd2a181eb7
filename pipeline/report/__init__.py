"""Tables, figures and the page that shows them, from the scores of all methods."""
