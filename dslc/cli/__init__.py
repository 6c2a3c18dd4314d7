"""The command line, one command a file; each parses its arguments, calls the library and prints."""
