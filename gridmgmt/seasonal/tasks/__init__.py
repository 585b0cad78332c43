"""What is done about the list: items become tasks that somebody closes, with a reason when it failed."""
