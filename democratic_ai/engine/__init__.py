"""What makes the method fast, resumable and stored; nothing here knows the game."""
