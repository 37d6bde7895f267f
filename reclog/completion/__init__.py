"""What a shell offers at the Tab key. Standard library only, nothing else of reclog: it has to be quick."""
