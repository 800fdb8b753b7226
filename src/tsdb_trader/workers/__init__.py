"""The processes that wake up on rows, talk to the outside world and write rows back."""
