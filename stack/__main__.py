"""`python -m stack`, which `./millrace` runs in its virtual environment."""

from stack.cli import main

if __name__ == "__main__":
    main()
