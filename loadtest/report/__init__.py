"""What is left of a run: a JSON file for programs and a page for people, in a folder of its own."""
