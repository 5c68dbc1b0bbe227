"""The zoo of tickets: list, find, load, fetch and verify them."""
