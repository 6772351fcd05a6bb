"""One module per Lambda, named as the state that calls it: parse, read, decide, write, return."""
