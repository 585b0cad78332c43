"""What departments fill in: the forms they get, the files they send back, and how values are entered."""
