"""Speed and size against a named peer and the machine's limit."""
