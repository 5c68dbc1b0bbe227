"""Small things that every room uses: tables, text, files, signals."""
