"""The Hugging Face Hub: fetching, pushing and searching folders. Knows no ticket."""
