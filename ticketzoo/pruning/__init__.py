"""How weights are scored and removed."""
