"""The gallery: a static page of tickets, made of what they say and of their rows."""
